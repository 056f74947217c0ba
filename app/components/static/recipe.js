// Recipes as ganime/drawing/recipe.py reads and writes them, letter for letter, and the latents that they name.
import { MAX_SEED } from "../shared/recipes.js";
import { asciiOf, bytesOfText, halfBytes, halvesOf, textOfBytes } from "./encoding.js";
import { slerp } from "./latents.js";
import { createRandom } from "./random.js";

const FIELDS = ["model", "revision", "seed", "truncation", "toward", "position", "vector", "clarity", "sharpened"];
const LATER = ["clarity", "sharpened"]; // left out where they are 0
const WHOLE = ["seed", "toward", "sharpened"];
const RANGES = {
  seed: ["A seed", MAX_SEED], toward: ["A seed", MAX_SEED], truncation: ["A truncation", 1.5],
  position: ["A position", 1], clarity: ["A clarity", 0.95], sharpened: ["A side in px", 2048],
};
const VECTOR = /^[\w-]{3,10923}$/;
const MOST_NUMBER = 16; // of a vector

/** The latent of a text, as `encoded` of recipe.py writes it. Throws an Error for any other text. */
export function decodeVector(text) {
  let z = null;
  try {
    z = VECTOR.test(text) ? halvesOf(bytesOfText(text)) : null;
  } catch { /* no base64, or half a number */ }
  if (z && z.every((number) => Math.abs(number) <= MOST_NUMBER)) return z;
  throw new Error("The vector of this recipe is damaged: it is base64 over 16-bit numbers from -16 to 16.");
}

/** A latent as text, rounded to 16 bits. */
export function encodeVector(z) {
  if (z.length && z.every((number) => Math.abs(number) <= MOST_NUMBER)) return textOfBytes(halfBytes(z));
  throw new Error("This face lies outside what a recipe can hold. Move the sliders less far.");
}

function checkNumber(name, value) {
  const [what, most] = RANGES[name];
  const kind = WHOLE.includes(name) ? "whole number" : "number";
  const fits = typeof value === "number" && value >= 0 && value <= most;
  if (fits && (kind === "number" || Number.isInteger(value))) return value;
  throw new Error(`${what} is a ${kind} from 0 to ${most.toLocaleString("en")}; got ${JSON.stringify(value)}.`);
}

/** Checks the fields of a recipe; returns it with all of its fields. Throws an Error for what is none. */
export function checkedRecipe(given) {
  const unknown = Object.keys(given).filter((name) => !FIELDS.includes(name));
  if (unknown.length || typeof given.model !== "string" || typeof given.revision !== "string") {
    throw new Error("This is no recipe: it lacks a part, or has one too many.");
  }
  const recipe = { truncation: 1, toward: null, position: 0, vector: null, clarity: 0, sharpened: 0, ...given };
  for (const name of Object.keys(RANGES)) {
    if (name !== "toward" || recipe.toward !== null) checkNumber(name, recipe[name]);
  }
  if (recipe.vector === null) return recipe;
  if (recipe.toward !== null || recipe.position) {
    throw new Error("A recipe has either a vector or a seed to go toward, never both.");
  }
  return { ...recipe, vector: encodeVector(decodeVector(recipe.vector)) };
}

/** Reads a recipe. Throws an Error for a text that is none. */
export function readRecipe(text) {
  let given = null;
  try {
    given = JSON.parse(text);
  } catch { /* no JSON */ }
  if (given === null || typeof given !== "object" || Array.isArray(given)) throw new Error("This is no recipe.");
  return checkedRecipe(given);
}

/** A number with a fraction as Python writes it: 1.0, 0.7, 1e-05. */
function decimalOf(number) {
  if (Number.isInteger(number)) return `${number}.0`;
  if (number >= 1e-4) return String(number);
  const [digits, exponent] = number.toExponential().split("e-");
  return `${digits}e-${exponent.padStart(2, "0")}`;
}

function valueOf(name, value) {
  if (typeof value === "string") return asciiOf(JSON.stringify(value));
  return WHOLE.includes(name) ? String(value) : decimalOf(value);
}

/** Writes a recipe. */
export function writeRecipe(recipe) {
  const given = FIELDS.filter((name) => recipe[name] !== null && (recipe[name] || !LATER.includes(name)));
  return `{${given.map((name) => `"${name}": ${valueOf(name, recipe[name])}`).join(", ")}}`;
}

/** The latent of a seed. */
export const latentOfSeed = (seed, dim) => Float32Array.from(createRandom(seed).normals(dim));

/** The latent of a recipe before truncation and clarity. Throws an Error for a vector of another length. */
export function untruncated({ seed, toward, position, vector, model }, dim) {
  if (vector !== null) {
    const z = decodeVector(vector);
    if (z.length === dim) return z;
    throw new Error(`This recipe's vector holds ${z.length} numbers, and the model takes ${dim}. Open it with the `
      + `model it names: ${model}.`);
  }
  const z = latentOfSeed(seed, dim);
  return toward === null ? z : slerp(z, latentOfSeed(toward, dim), position);
}

/** The latent of a recipe, truncation applied and clarity not. */
export function truncated(recipe, dim) {
  const factor = Math.fround(recipe.truncation);
  return untruncated(recipe, dim).map((number) => number * factor);
}
