// Faces from the server as bytes; app/server/face_endpoint.py says what each tool takes and answers.
import { NO_ANSWER } from "./requests.js";

/** The head at the beginning of some bytes, {head, end}; null where it has not arrived completely. */
function headOf(bytes) {
  if (bytes.length < 4) return null;
  const end = 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (bytes.length < end) return null;
  return { head: JSON.parse(new TextDecoder().decode(bytes.subarray(4, end))), end };
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/**
 * Reads an answer from its stream: {key, model, revision, recipes, columns, side, picture}, the picture a JPEG Blob; or
 * {error, status}. waiting(place): called with each {ahead, seconds} that comes before it.
 */
export async function unpackFaces(stream, waiting = () => {}) {
  const reader = stream.getReader();
  let bytes = new Uint8Array(0);
  let answer = null; // its head
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes = joined(bytes, value);
    for (let part = answer ? null : headOf(bytes); part; part = answer ? null : headOf(bytes)) {
      bytes = bytes.subarray(part.end);
      if (part.head.ahead === undefined) answer = part.head;
      else waiting(part.head);
    }
  }
  if (!answer) throw new Error(NO_ANSWER);
  return answer.error ? answer : { ...answer, picture: new Blob([bytes], { type: "image/jpeg" }) };
}

/** The error that the server tells; what is not ours, such as a proxy's page, becomes NO_ANSWER. */
const errorOf = ({ error, missing }, status) => (
  Object.assign(new Error(error || NO_ANSWER), { missing: Boolean(missing), busy: status === 503 }));

/**
 * Has the server draw faces. Returns what unpackFaces returns, with an ImageBitmap as picture.
 *
 * tool, fields: what is drawn, and what that takes, as app/server/face_endpoint.py lists them. waiting(place): called
 * every second with {ahead, seconds} while others are served before. Throws an Error with a message for the visitor;
 * its `missing` says that the model's training job was deleted, its `busy` that a later attempt may succeed.
 */
export async function requestFaces(tool, fields, waiting = undefined) {
  const headers = { "Content-Type": "application/json" };
  const post = { method: "POST", headers, body: JSON.stringify(fields) };
  const fail = () => { throw new Error(NO_ANSWER); };
  const response = await fetch(new URL(`ganime/${tool}`, document.baseURI), post).catch(fail);
  if (!response.ok) throw errorOf(await response.json().catch(() => ({})), response.status);
  const answer = await unpackFaces(response.body, waiting).catch(fail);
  if (answer.error) throw errorOf(answer, answer.status);
  return { ...answer, picture: await createImageBitmap(answer.picture) };
}
