// The recipe in a PNG: the text chunk named "ganime".

const MOST_BYTES = 2 ** 24; // of a file that is looked through
const MOST_TEXT = 20000;
const FIRST_CHUNK = 8; // bytes before it
const AROUND = 12; // bytes of a chunk around its data: length, kind, checksum

/** Returns the recipe of a PNG made with Ganime, "" where there is none. bytes: a Uint8Array. */
export function recipeOfPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const latin = (start, end) => String.fromCharCode(...bytes.subarray(start, end));
  if (latin(1, 4) !== "PNG") return "";
  for (let at = FIRST_CHUNK; at + AROUND <= bytes.length;) {
    const [length, kind] = [view.getUint32(at), latin(at + 4, at + 8)];
    const end = at + 8 + length;
    if (kind === "tEXt" && length < MOST_TEXT && latin(at + 8, at + 15) === "ganime\0") return latin(at + 15, end);
    at = end + 4;
  }
  return "";
}

/** Returns the recipe in a file, "" where there is none. */
export async function recipeOfFile(file) {
  return file.size > MOST_BYTES ? "" : recipeOfPng(new Uint8Array(await file.arrayBuffer()));
}
