// Calls of server functions, with errors in words.
import { download } from "./dom.js";

/** Said when a call brings no answer at all. */
export const NO_ANSWER = "The server does not answer. Try again.";

/**
 * Returns request(name, ...arguments), which calls a server function and returns its answer.
 *
 * It throws an Error whose message is the server's refusal, or NO_ANSWER. Where a training job or its model is missing
 * it also triggers "gone": the model in use may have been deleted with its job.
 */
export function createRequest({ server, trigger }) {
  return async (name, ...values) => {
    const answer = await server[name](values).catch(() => null);
    if (!answer) throw new Error(NO_ANSWER);
    if (answer.missing) trigger("gone", {});
    if (answer.error) throw new Error(answer.error);
    return answer;
  };
}

/** Downloads the file that ask() returns. Meanwhile the button is disabled; `status` says how it went. */
export async function saveFile(button, status, ask) {
  button.disabled = true;
  status.textContent = "Preparing the file…";
  try {
    const file = await ask();
    download(file);
    status.textContent = `Saved ${file.name}`;
  } catch (error) {
    status.textContent = error.message;
  } finally {
    button.disabled = false;
  }
}
