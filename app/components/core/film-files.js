// The recipes that Ganime writes into the files of films: the comment of a GIF, the EXIF description of a WebP, the
// comment of an MP4. An APNG holds it as a PNG does.

const BEGIN = '{"ganime"'; // of the recipe of a film

const latin = (bytes) => new TextDecoder("latin1").decode(bytes);

/** The place of a text in bytes, -1 where it does not occur. */
function find(bytes, text) {
  const codes = [...text].map((letter) => letter.charCodeAt(0));
  for (let at = bytes.indexOf(codes[0]); at >= 0; at = bytes.indexOf(codes[0], at + 1)) {
    if (codes.every((code, index) => bytes[at + index] === code)) return at;
  }
  return -1;
}

/** Reads the blocks of a GIF that follow each other up to an empty one: {parts, end}. */
function subBlocks(bytes, start) {
  const parts = [];
  let at = start;
  while (bytes[at]) {
    parts.push(bytes.subarray(at + 1, at + 1 + bytes[at]));
    at += bytes[at] + 1;
  }
  return { parts, end: at + 1 };
}

const paletteBytes = (flags) => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);

function recipeOfGif(bytes) {
  let at = 13 + paletteBytes(bytes[10]);
  while (at < bytes.length && bytes[at] !== 0x3b) {
    const isImage = bytes[at] === 0x2c;
    if (!isImage && bytes[at] !== 0x21) return "";
    const { parts, end } = subBlocks(bytes, isImage ? at + 11 + paletteBytes(bytes[at + 9]) : at + 2);
    if (!isImage && bytes[at + 1] === 0xfe) return parts.map(latin).join("");
    at = end;
  }
  return "";
}

function recipeOfWebp(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= bytes.length;) {
    const [kind, length] = [latin(bytes.subarray(at, at + 4)), view.getUint32(at + 4, true)];
    const data = bytes.subarray(at + 8, at + 8 + length);
    const begin = kind === "EXIF" ? find(data, BEGIN) : -1;
    if (begin >= 0) return latin(data.subarray(begin)).split("\0")[0];
    at += 8 + length + (length % 2);
  }
  return "";
}

function recipeOfMp4(bytes) {
  const at = find(bytes, "\xa9cmt"); // a box: size, this name; in it: size, "data", 8 bytes, text
  if (at < 4) return "";
  const size = new DataView(bytes.buffer, bytes.byteOffset + at - 4, 4).getUint32(0);
  return latin(bytes.subarray(at + 20, at - 4 + size));
}

/** Returns the recipe in a GIF, WebP or MP4 made with Ganime, "" for other files. bytes: a Uint8Array. */
export function recipeOfFilm(bytes) {
  const [head, kind] = [latin(bytes.subarray(0, 4)), latin(bytes.subarray(4, 12))];
  if (head === "GIF8") return recipeOfGif(bytes);
  if (head === "RIFF" && kind.endsWith("WEBP")) return recipeOfWebp(bytes);
  return kind.startsWith("ftyp") ? recipeOfMp4(bytes) : "";
}
