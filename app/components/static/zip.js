// ZIP files of files that are compressed already, such as PNGs.
import { crc32, joined } from "./png.js";

const DATE = 0x21; // 1 January 1980, the first that ZIP knows, so that equal faces give equal files

/** Numbers as bytes, the lowest first. fields: [[number, bytes], ...]. */
function packed(fields) {
  return Uint8Array.from(fields.flatMap(([number, size]) => (
    Array.from({ length: size }, (_, index) => Math.floor(number / 256 ** index) % 256))));
}

/** What a file's own header and its entry in the list at the end have in common. */
const describe = ({ data }, name) => [
  [20, 2], [0x800, 2], [0, 2], [0, 2], [DATE, 2], [crc32(data), 4], [data.length, 4], [data.length, 4],
  [name.length, 2], [0, 2]];

/** Files, [{name, data}], as one ZIP. */
export function zipOf(files) {
  const [pieces, entries] = [[], []];
  let at = 0;
  for (const file of files) {
    const name = new TextEncoder().encode(file.name);
    const common = describe(file, name);
    const piece = joined([packed([[0x04034b50, 4], ...common]), name, file.data]);
    const place = [[0, 2], [0, 2], [0, 2], [0, 4], [at, 4]];
    entries.push(joined([packed([[0x02014b50, 4], [20, 2], ...common, ...place]), name]));
    pieces.push(piece);
    at += piece.length;
  }
  const list = joined(entries);
  const { length: count } = files;
  const end = packed([[0x06054b50, 4], [0, 4], [count, 2], [count, 2], [list.length, 4], [at, 4], [0, 2]]);
  return joined([...pieces, list, end]);
}
