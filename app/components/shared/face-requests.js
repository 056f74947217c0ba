// Faces from the server as bytes; app/server/face_endpoint.py says what each tool takes and answers.
import { NO_ANSWER } from "./requests.js";

/** Takes an answer apart: {key, model, revision, recipes, columns, side, picture}, the picture a WebP Blob. */
export function unpackFaces(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { ...head, picture: new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/webp" }) };
}

/** Reads an error of the server; what is not ours, such as a proxy's page, becomes NO_ANSWER. */
async function errorOf(response) {
  const { error, missing } = await response.json().catch(() => ({}));
  return Object.assign(new Error(error || NO_ANSWER), { missing: Boolean(missing), busy: response.status === 503 });
}

/**
 * Has the server draw faces. Returns what unpackFaces returns, with an ImageBitmap as picture.
 *
 * tool: "draw", "roll", "vary", "steer", "breed", "mix", "between" or "sharp". fields: what it takes. signal: of an
 * AbortController, to give up. Throws an Error with a message for the visitor; its `missing` says that the model's
 * training job was deleted, its `busy` that a later attempt may succeed. What was given up throws an AbortError.
 */
export async function requestFaces(tool, fields, signal = undefined) {
  const headers = { "Content-Type": "application/json" };
  const post = { method: "POST", headers, body: JSON.stringify(fields), signal };
  const response = await fetch(new URL(`ganime/${tool}`, document.baseURI), post).catch((error) => {
    throw error.name === "AbortError" ? error : new Error(NO_ANSWER);
  });
  if (!response.ok) throw await errorOf(response);
  const answer = unpackFaces(await response.arrayBuffer());
  return { ...answer, picture: await createImageBitmap(answer.picture) };
}
