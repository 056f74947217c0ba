// Numbers of 16 bits, in which recipes store latents, and texts: base64, and JSON in ASCII.

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

/** Rounds to the nearest whole number, halves to the even one. */
export function roundEven(number) {
  const below = Math.floor(number);
  const rest = number - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

const exponentOf = (number) => {
  single[0] = number;
  return ((bits[0] >>> 23) & 255) - 127;
};

/** Rounds a number of 32 bits, of at most 65,504, to one that 16 bits hold. */
export function roundHalf(number) {
  const unit = 2 ** (Math.max(-14, exponentOf(number)) - 10);
  const rounded = roundEven(Math.abs(number) / unit) * unit;
  return number < 0 || Object.is(number, -0) ? -rounded : rounded;
}

/** The 16 bits of a number. */
export function halfBits(number) {
  const half = roundHalf(number);
  const exponent = exponentOf(half);
  const sign = half < 0 || Object.is(half, -0) ? 0x8000 : 0;
  if (exponent < -14) return sign | Math.abs(half * 2 ** 24);
  single[0] = Math.abs(half);
  return sign | ((exponent + 15) << 10) | ((bits[0] & 0x7fffff) >>> 13);
}

/** The number of 16 bits. */
export function halfOf(pattern) {
  const [exponent, fraction] = [(pattern >>> 10) & 31, pattern & 1023];
  const sign = pattern & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Numbers as bytes, two for each, the lower one first. */
export function halfBytes(numbers) {
  const bytes = new Uint8Array(2 * numbers.length);
  const view = new DataView(bytes.buffer);
  numbers.forEach((number, index) => view.setUint16(2 * index, halfBits(number), true));
  return bytes;
}

/** The numbers of such bytes. */
export function halvesOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 2 }, (_, index) => halfOf(view.getUint16(2 * index, true)));
}

/** JSON in ASCII alone, as Python writes it. */
export const asciiOf = (json) => json.replace(/[\u007f-\uffff]/g, (letter) => (
  `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`));

/** Bytes as base64. */
export function base64Of(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}

/** Bytes as base64 for addresses. */
export const textOfBytes = (bytes) => (
  base64Of(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""));

/** The bytes of such a text. Throws where it is none. */
export function bytesOfText(text) {
  const data = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(data, (letter) => letter.charCodeAt(0));
}
