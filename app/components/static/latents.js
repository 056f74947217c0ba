// Arithmetic with latents, in the order and the precision of ganime/drawing: recipe.py, directions.py and mixing.py.
// Latents are Float32Arrays; sums are computed in 64 bits except where NumPy computes them in 32.
import { roundHalf } from "./encoding.js";
import { createRandom } from "./random.js";

const { fround } = Math;

export const dot = (a, b) => a.reduce((sum, number, index) => sum + number * b[index], 0);
export const norm = (z) => Math.sqrt(dot(z, z));
const zipped = (a, b, mix) => a.map((number, index) => mix(number, b[index], index));

/** A latent rounded to the 16 bits that a recipe stores. */
export const rounded = (z) => z.map(roundHalf);

/** The straight line from a (t = 0) to b (t = 1), in 32 bits. */
function lerp(a, b, t) {
  const [rest, share] = [fround(1 - t), fround(t)];
  return zipped(a, b, (x, y) => fround(x * rest) + fround(y * share));
}

/** The part of b at right angles to a; where there is none, some other direction at right angles. */
function acrossOf(start, end) {
  const along = dot(start, end);
  const across = zipped(end, start, (x, y) => x - along * y);
  if (norm(across) >= 1e-7) return across;
  const sizes = start.map(Math.abs);
  const least = sizes.indexOf(Math.min(...sizes));
  return start.map((number, index) => (index === least ? 1 : 0) - start[least] * number);
}

/** The arc from a (t = 0) to b (t = 1); see `slerp` in recipe.py. Between opposite ones rounding decides which arc. */
export function slerp(a, b, t) {
  if (t === 0 || t === 1) return Float32Array.from(t ? b : a);
  const [normA, normB] = [norm(a), norm(b)];
  if (!normA || !normB) return lerp(a, b, t);
  const start = Float64Array.from(a, (number) => number / normA);
  const end = Float64Array.from(b, (number) => number / normB);
  const across = acrossOf(start, end);
  const length = norm(across);
  const angle = Math.atan2(length ? dot(end, across) / length : 0, dot(start, end)) * t;
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const reach = normA * (1 - t) + normB * t;
  return Float32Array.from(start, (number, index) => (
    (cosine * number + sine * (length ? across[index] / length : across[index])) * reach));
}

/** A latent at a length; one of length 0 stays. */
export function atLength(z, length) {
  const now = norm(z);
  return Float32Array.from(z, (number) => (now ? number * (length / now) : number));
}

/** The sum of 32-bit numbers as NumPy adds up a row: in eight columns, in blocks of 128. */
function rowSum(numbers) {
  const count = numbers.length;
  if (count > 128) {
    const half = Math.floor(count / 2) - (Math.floor(count / 2) % 8);
    return fround(rowSum(numbers.subarray(0, half)) + rowSum(numbers.subarray(half)));
  }
  const whole = count - (count % 8);
  if (!whole) return numbers.reduce((sum, number) => fround(sum + number), 0);
  const sums = Float32Array.from(numbers.subarray(0, 8));
  for (let at = 8; at < whole; at += 1) sums[at % 8] += numbers[at];
  const [a, b, c, d, e, f, g, h] = sums;
  const pairs = fround(fround(fround(a + b) + fround(c + d)) + fround(fround(e + f) + fround(g + h)));
  return numbers.subarray(whole).reduce((sum, number) => fround(sum + number), pairs);
}

/** The length of a latent in 32 bits. */
export const norm32 = (z) => fround(Math.sqrt(rowSum(z.map((number) => number * number))));

/** The weighted sum of directions. amounts: [[vector, amount], ...], at least one. */
export function combined(amounts) {
  const [first, ...others] = amounts.map(([vector, amount]) => vector.map((number) => number * fround(amount)));
  return others.reduce((sum, way) => zipped(sum, way, (x, y) => x + y), first);
}

/** z + offset at the length of z. */
export function moved(z, offset) {
  const there = zipped(z, offset, (x, y) => x + y);
  const [before, after] = [norm32(z), norm32(there)];
  const factor = before > 0 && after > 0 ? fround(before / Math.max(after, fround(1e-12))) : 1;
  return there.map((number) => number * factor);
}

/** An orthonormal basis of what the rows span. */
function basisOf(rows) {
  const basis = [];
  for (const row of rows) {
    let rest = Float64Array.from(row);
    for (let time = 0; time < 2; time += 1) { // the second time for what rounding has left
      for (const way of basis) {
        const along = dot(rest, way);
        rest = zipped(rest, way, (x, y) => x - along * y);
      }
    }
    const length = norm(rest);
    if (length > 1e-9) basis.push(rest.map((number) => number / length));
  }
  return basis;
}

/** The part of a latent along an orthonormal basis. */
export function partAlong(z, basis) {
  const part = new Float64Array(z.length);
  for (const way of basis) {
    const along = dot(way, z);
    way.forEach((number, index) => { part[index] += along * number; });
  }
  return part;
}

/** Latents that have along `ways` exactly what a face has there; their lengths stay. See `held` in directions.py. */
export function held(latents, face, ways) {
  const basis = basisOf(ways);
  const kept = partAlong(face, basis);
  return latents.map((z) => {
    const free = zipped(Float64Array.from(z), partAlong(z, basis), (x, y) => x - y);
    const room = Math.max(0, dot(z, z) - dot(kept, kept));
    const scale = Math.sqrt(room / Math.max(dot(free, free), 1e-12));
    return Float32Array.from(kept, (number, index) => number + free[index] * scale);
  });
}

/** Variations of a latent: points on the arcs to random ones. */
export function vary(z, strength, count, seed) {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const stranger = random.normals(z.length);
    return rounded(slerp(z, atLength(stranger, norm(z)), strength));
  });
}

/** A weighted mean on the sphere, from parent to parent. */
function blend(parents, shares) {
  let [child, whole] = [parents[0], shares[0]];
  parents.slice(1).forEach((parent, index) => {
    const share = shares[index + 1];
    whole += share;
    child = slerp(child, parent, whole ? share / whole : 0);
  });
  return child;
}

/** Children of latents, alternately by crossover and by spherical means. mutation: share that is drawn anew. */
export function breed(parents, count, mutation, seed) {
  const random = createRandom(seed);
  const { length: dim } = parents[0];
  const lengths = parents.map(norm32);
  return Array.from({ length: count }, (_, number) => {
    const shares = random.shares(parents.length);
    const origin = Array.from({ length: dim }, () => random.below(parents.length));
    const anew = Array.from({ length: dim }, () => random.uniform() < mutation);
    const drawn = random.normals(dim);
    const mixed = number % 2 ? blend(parents, shares) : parents[0].map((__, index) => parents[origin[index]][index]);
    const counts = parents.map((__, parent) => origin.filter((one) => one === parent).length / dim);
    const child = Float64Array.from(mixed, (value, index) => (anew[index] ? drawn[index] : value));
    return rounded(atLength(child, dot(number % 2 ? shares : counts, lengths)));
  });
}

/** a - b + c at the mean length of the three. */
export function arithmetic(a, b, c) {
  const sum = Float64Array.from(a, (number, index) => number - b[index] + c[index]);
  return rounded(atLength(sum, (norm(a) + norm(b) + norm(c)) / 3));
}

/** A direction at a length, as recipes store it. */
export function wayOf(offset, length) {
  const factor = length / Math.max(norm32(offset), 1e-9);
  return rounded(offset.map((number) => number * factor));
}

/** So many places, evenly from 0 to an end, which a loop leaves out. */
export function placesOf(end, count, loop) {
  const step = end / (count - (loop ? 0 : 1));
  return Array.from({ length: count }, (_, number) => (!loop && number === count - 1 ? end : number * step));
}

/** Latents on the way through stops. easing(t): how far it has come after the share t of a leg's time. */
export function walk(stops, frames, loop, easing) {
  const all = loop ? [...stops, stops[0]] : stops;
  return placesOf(all.length - 1, frames, loop).map((place) => {
    const leg = Math.min(Math.floor(place), all.length - 2);
    return slerp(all[leg], all[leg + 1], easing(place - leg));
  });
}
