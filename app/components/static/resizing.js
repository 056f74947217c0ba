// Pictures made smaller or larger by a Lanczos filter, as Pillow does (Duchon 1979). Pictures are {side, pixels}: RGBA
// in bytes.
import { roundEven } from "./encoding.js";

const LOBES = 3;

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** The weights of a row for each of its new points: [first, weights]. */
function filters(from, to) {
  const scale = from / to;
  const reach = LOBES * Math.max(1, scale);
  return Array.from({ length: to }, (_, point) => {
    const middle = (point + 0.5) * scale;
    const first = Math.max(0, Math.floor(middle - reach + 0.5));
    const last = Math.min(from, Math.floor(middle + reach + 0.5));
    const weights = Array.from({ length: last - first }, (__, index) => {
      const x = (first + index - middle + 0.5) / Math.max(1, scale);
      return Math.abs(x) < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
    });
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    return [first, weights.map((weight) => weight / whole)];
  });
}

/** Filters rows of RGBA points and turns the picture over its diagonal. */
function pass(pixels, side, rows, table) {
  const made = new Uint8ClampedArray(4 * rows * table.length);
  for (let row = 0; row < rows; row += 1) {
    for (const [point, [first, weights]] of table.entries()) {
      for (let channel = 0; channel < 4; channel += 1) {
        const start = 4 * (row * side + first) + channel;
        let sum = 0;
        for (let index = 0; index < weights.length; index += 1) sum += weights[index] * pixels[start + 4 * index];
        made[4 * (point * rows + row) + channel] = roundEven(sum);
      }
    }
  }
  return made;
}

/** The picture at a side in px. */
export function resized({ side, pixels }, to) {
  if (to === side) return { side, pixels };
  const table = filters(side, to);
  return { side: to, pixels: pass(pass(pixels, side, side, table), side, to, table) };
}
