// Clarity: a small network predicts from a latent how clear its face is, and its gradient leads to clearer ones. The
// same as ganime/nets/clarity.py, in 64 bits.
import { dot, norm, partAlong } from "./latents.js";

const [MOST_STEPS, STEP, OVERSHOOT, LEAST_RADIUS] = [40, 0.06, 1.05, 1e-6];

const sigmoid = (x) => 0.5 + 0.5 * Math.tanh(x / 2);

/** x @ weight, where weight has x.length rows. */
function product(x, weight, columns) {
  const sums = new Float64Array(columns);
  for (let row = 0; row < x.length; row += 1) {
    const [factor, start] = [x[row], row * columns];
    for (let column = 0; column < columns; column += 1) sums[column] += factor * weight[start + column];
  }
  return sums;
}

/** weight @ y, where weight has y.length columns. */
function backward(weight, y, rows) {
  const columns = y.length;
  const sums = new Float64Array(rows);
  for (let row = 0; row < rows; row += 1) {
    const start = row * columns;
    let sum = 0;
    for (let column = 0; column < columns; column += 1) sum += weight[start + column] * y[column];
    sums[row] = sum;
  }
  return sums;
}

/** A layer with SiLU: its outputs before and after, and the gates between. */
function layer(x, weight, bias) {
  const before = product(x, weight, bias.length).map((sum, index) => sum + bias[index]);
  const gates = before.map(sigmoid);
  return { before, gates, after: before.map((sum, index) => sum * gates[index]) };
}

/** A gradient after a layer, led back through its SiLU. */
const throughSilu = (slope, { before, gates }) => slope.map((number, index) => (
  number * gates[index] * (1 + before[index] * (1 - gates[index]))));

/** A value between those of an evenly spaced table. */
function interpolated(share, table) {
  const place = share * (table.length - 1);
  const below = Math.min(Math.floor(place), table.length - 2);
  return table[below] + (table[below + 1] - table[below]) * (place - below);
}

/**
 * Creates {clear(z, share), predict(z)}: a latent moved until its face is predicted to be clearer than that share of
 * faces; and how clear its face is predicted to be, on the scale of `quantiles`.
 *
 * numbers: {weights, biases, held, quantiles}, the weights row by row; held: orthonormal rows that latents keep.
 */
export function createClarity({ weights, biases, held, quantiles }) {
  const [first, second, last] = weights;
  const [bias1, bias2, bias3] = biases;

  /** The prediction for a latent, and the layers that lead to it. */
  function valueOf(u) {
    const one = layer(u, first, bias1);
    const two = layer(one.after, second, bias2);
    return { one, two, value: dot(two.after, last) + bias3[0] };
  }

  function valueAndSlope(u) {
    const { one, two, value } = valueOf(u);
    const back2 = throughSilu(Float64Array.from(last), two);
    const back1 = throughSilu(backward(second, back2, bias1.length), one);
    return [value, backward(first, back1, u.length)];
  }

  /** The way up along the sphere of a radius, without what is held. */
  function wayUp(slope, free, radius) {
    const part = partAlong(slope, held);
    const way = slope.map((number, index) => number - part[index]);
    const outward = dot(way, free) / radius ** 2;
    return way.map((number, index) => number - outward * free[index]);
  }

  function climb(kept, start, target) {
    const radius = norm(start);
    let free = start;
    for (let step = 0; step < MOST_STEPS; step += 1) {
      const from = free;
      const [value, slope] = valueAndSlope(kept.map((number, index) => number + from[index]));
      if (value >= target) break;
      const way = wayUp(slope, from, radius);
      const steepness = norm(way);
      if (!(steepness > 0)) break;
      const length = Math.min(((target - value) / steepness) * OVERSHOOT, STEP * radius);
      const there = from.map((number, index) => number + (way[index] / steepness) * length);
      const factor = radius / norm(there);
      free = there.map((number) => number * factor);
    }
    return free;
  }

  /** A latent at the length that most have. */
  function unit(z) {
    const side = Math.sqrt(z.length) / norm(z);
    return Float64Array.from(z, (number) => number * side);
  }

  function clear(z, share) {
    const length = norm(z);
    if (!share || !length) return z;
    const u = unit(z);
    const kept = partAlong(u, held);
    const start = u.map((number, index) => number - kept[index]);
    if (norm(start) < LEAST_RADIUS) return z;
    const free = climb(kept, start, interpolated(share, quantiles));
    const factor = length / norm(u);
    return free === start ? z : Float32Array.from(kept, (number, index) => (number + free[index]) * factor);
  }

  return { clear, predict: (z) => valueOf(unit(z)).value };
}
