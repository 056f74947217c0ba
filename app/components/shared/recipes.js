// Recipes: faces as text. {model, revision, seed, truncation}; some have {toward, position}, {vector} or {clarity}.

export const MAX_SEED = 4294967295;
const HUB_NAME = /^[\w][\w.-]*\/[\w][\w.-]*$/;

/** Returns a random seed, short enough to be read out. */
export const randomSeed = () => Math.floor(Math.random() * 1000000);

/** So many consecutive seeds from one on; 0 follows the largest one. */
export const seedsFrom = (seed, count) => (
  Array.from({ length: count }, (_, index) => (seed + index) % (MAX_SEED + 1)));

/** Whether a model's name is that of a repository on the Hugging Face hub. */
export const isHubName = (name) => HUB_NAME.test(name);

/** Parses a recipe. Returns null for a text that is none; the server alone knows whether a recipe can be drawn. */
export function parseRecipe(text) {
  try {
    const recipe = JSON.parse(text);
    return recipe && Number.isInteger(recipe.seed) && typeof recipe.model === "string" ? recipe : null;
  } catch {
    return null;
  }
}

/** The recipe of a seed. model: {model, revision, clarity}, its name, its weights and its default clarity. */
export const recipeOfSeed = ({ model, revision, clarity }, seed) => (
  JSON.stringify({ model, revision, seed, truncation: 1, ...(clarity ? { clarity } : {}) }));

/** A recipe with another clarity and truncation. */
export function withSettings(text, { clarity, truncation }) {
  const recipe = { ...JSON.parse(text), truncation, clarity };
  if (!clarity) delete recipe.clarity;
  return JSON.stringify(recipe);
}

/** Whether two recipes are of one face, whatever its clarity and boldness. */
export function isSameFace(text, otherText) {
  const [face, other] = [parseRecipe(text), parseRecipe(otherText)];
  const names = ["model", "revision", "seed", "toward", "position", "vector"];
  return names.every((name) => (face[name] || 0) === (other[name] || 0));
}

/**
 * Describes a face in a few words. One with a vector was changed, mixed or rolled beside another; its recipe does not
 * say which, and holds the seed of the face that it began from, 0 for a picture, which is then not said.
 */
export function describeRecipe(text) {
  const { seed, toward, position, vector } = parseRecipe(text) || {};
  if (vector) return seed ? `Based on seed ${seed}` : "Changed face";
  return toward === undefined ? `Seed ${seed}` : `${Math.round(position * 100)}% from seed ${seed} to ${toward}`;
}

/** What a face's clarity and boldness add to that, "" for those of new faces. usual: the clarity of the model. */
export function describeLook(text, usual) {
  const { clarity = 0, truncation = 1 } = parseRecipe(text);
  return [
    clarity !== usual && (clarity ? `clarity ${clarity}` : "as drawn"), truncation !== 1 && `boldness ${truncation}`,
  ].filter(Boolean).join(" · ");
}

/** The face of a recipe without its model and without what has its default, for a link. */
export function shortenRecipe(text) {
  const { seed, truncation, toward, position, vector, clarity } = JSON.parse(text);
  return {
    seed,
    ...(toward === undefined ? {} : { toward }),
    ...(vector === undefined ? {} : { vector }),
    ...(truncation === 1 ? {} : { truncation }),
    ...(position ? { position } : {}),
    ...(clarity ? { clarity } : {}),
  };
}

/** Makes a recipe of a face that was shortened. model: {model, revision} of faces that name none. */
export const expandRecipe = (face, { model, revision }) => JSON.stringify({ truncation: 1, model, revision, ...face });
