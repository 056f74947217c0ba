// The recipe in a file: of a face, in the text chunk of a PNG named "ganime"; of a film, also in film-files.js.
import { recipeOfFilm } from "./film-files.js";

const MOST_BYTES = 2 ** 26; // of a file that is looked through
const MOST_TEXT = 2 ** 20;
const FIRST_CHUNK = 8; // bytes before it
const AROUND = 12; // bytes of a chunk around its data: length, kind, checksum

/** Returns the recipe of a PNG made with Ganime, "" where there is none. bytes: a Uint8Array. */
export function recipeOfPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const latin = (start, end) => new TextDecoder("latin1").decode(bytes.subarray(start, end));
  if (latin(1, 4) !== "PNG") return "";
  for (let at = FIRST_CHUNK; at + AROUND <= bytes.length;) {
    const [length, kind] = [view.getUint32(at), latin(at + 4, at + 8)];
    const end = at + 8 + length;
    if (kind === "tEXt" && length < MOST_TEXT && latin(at + 8, at + 15) === "ganime\0") return latin(at + 15, end);
    at = end + 4;
  }
  return "";
}

/** Returns the recipe of a face or a film in a file, "" where there is none. */
export async function recipeOfFile(file) {
  if (file.size > MOST_BYTES) return "";
  const bytes = new Uint8Array(await file.arrayBuffer());
  return recipeOfPng(bytes) || recipeOfFilm(bytes);
}
