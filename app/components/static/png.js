// PNG files, exact to the pixel, with the recipe inside; and animated ones. Pictures are {side, pixels}: RGBA in bytes.

const TABLE = Uint32Array.from({ length: 256 }, (_, number) => {
  let value = number;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});
const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

/** The checksum of bytes, as PNG and ZIP have it. */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** Joins pieces of bytes. */
export function joined(pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Numbers as bytes, the highest first. fields: [[number, bytes], ...]. */
function packed(fields) {
  return Uint8Array.from(fields.flatMap(([number, size]) => (
    Array.from({ length: size }, (_, index) => Math.floor(number / 256 ** (size - 1 - index)) % 256))));
}

const latin = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

function chunk(kind, data) {
  const body = joined([latin(kind), data]);
  return joined([packed([[data.length, 4]]), body, packed([[crc32(body), 4]])]);
}

/** Compresses bytes as zlib does. */
async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** What a byte is expected to be from its neighbours to the left, above and between (Paeth 1991). */
function expected(left, above, corner) {
  const [toLeft, toAbove] = [Math.abs(above - corner), Math.abs(left - corner)];
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** The rows of a picture as PNG compresses them: RGB, as differences from what is expected. */
function filteredRows({ side, pixels }) {
  const bytes = 3 * side;
  const rows = new Uint8Array(side * (bytes + 1));
  const valueAt = (row, at) => (row < 0 || at < 0 ? 0 : pixels[4 * (row * side + Math.floor(at / 3)) + (at % 3)]);
  for (let row = 0; row < side; row += 1) {
    const start = row * (bytes + 1);
    rows[start] = 4; // the filter
    for (let at = 0; at < bytes; at += 1) {
      const guess = expected(valueAt(row, at - 3), valueAt(row - 1, at), at < 3 ? 0 : valueAt(row - 1, at - 3));
      rows[start + 1 + at] = valueAt(row, at) - guess;
    }
  }
  return rows;
}

const headOf = (side) => chunk("IHDR", packed([[side, 4], [side, 4], [8, 1], [2, 1], [0, 3]]));
/** A recipe, in ASCII, where Ganime looks for it. */
const recipeChunk = (recipe) => (recipe ? [chunk("tEXt", latin(`ganime\0${recipe}`))] : []);
const END = chunk("IEND", new Uint8Array());

/** A picture as PNG. recipe: kept in the file, in ASCII. */
export async function pngOf(picture, recipe = "") {
  const data = chunk("IDAT", await deflated(filteredRows(picture)));
  return joined([SIGNATURE, headOf(picture.side), ...recipeChunk(recipe), data, END]);
}

/** Pictures of one size as an animated PNG that repeats for ever. rate: frames per second; report(share): progress. */
export async function apngOf(pictures, rate, recipe = "", report = () => {}) {
  const [{ side }] = pictures;
  const count = chunk("acTL", packed([[pictures.length, 4], [0, 4]]));
  const pieces = [SIGNATURE, headOf(side), count, ...recipeChunk(recipe)];
  let order = 0; // of the chunks of frames
  for (const [index, picture] of pictures.entries()) {
    const [delay, whole] = [Math.round(1000 / rate), 1000];
    const control = [[order, 4], [side, 4], [side, 4], [0, 8], [delay, 2], [whole, 2], [0, 2]];
    pieces.push(chunk("fcTL", packed(control)));
    order += 1;
    const data = await deflated(filteredRows(picture));
    if (index) {
      pieces.push(chunk("fdAT", joined([packed([[order, 4]]), data])));
      order += 1;
    } else pieces.push(chunk("IDAT", data));
    report((index + 1) / pictures.length);
  }
  return joined([...pieces, END]);
}
