// The tools of the page, drawn in the browser: recipes in, recipes and latents out. See app/faces/loaded_model.py.
import { EASINGS } from "../interpolate/easing.js";
import { seedsFrom } from "../shared/recipes.js";
import { createClarity } from "./clarity.js";
import {
  arithmetic, breed, combined, held, moved, placesOf, slerp, vary, walk, wayOf,
} from "./latents.js";
import {
  checkedRecipe, decodeVector, encodeVector, latentOfSeed, readRecipe, truncated, untruncated, writeRecipe,
} from "./recipe.js";

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

function checkedAmount(name, amount, most) {
  if (Math.abs(amount) <= most) return amount;
  throw new Error(`The amount of ${name} is a number from -${most} to ${most}; got ${amount}.`);
}

/** Creates what reads recipes of this model and writes them, of(z, origin) for a latent, ofSeed() for a seed. */
function createRecipes({ model, revision, most }) {
  function read(text) {
    const recipe = readRecipe(text);
    if (recipe.revision === revision) return recipe;
    throw new Error(`This face was drawn by ${recipe.model}, weights ${recipe.revision}; this page has the model `
      + `${model}, weights ${revision}, and no other.`);
  }

  return {
    read,
    readAll(texts) {
      if (texts.length >= 1 && texts.length <= most) return texts.map(read);
      if (!texts.length) throw new Error("There is no face to draw.");
      throw new Error(`At most ${most} faces at a time; got ${texts.length}.`);
    },
    checkedCount(count) {
      if (Number.isInteger(count) && count >= 1 && count <= most) return count;
      throw new Error(`1 to ${most} faces are drawn at a time; got ${count}.`);
    },
    ofSeed: (seed, truncation, clarity) => checkedRecipe({ model, revision, seed, truncation, clarity }),
    of: (z, { seed, truncation, clarity }) => checkedRecipe({
      model, revision, seed, truncation, clarity, vector: encodeVector(z),
    }),
  };
}

/** The directions that are kept while faces are rolled. locks: names; ways: names of directions by lock. */
function waysOf({ locks: ways, directions }, locks) {
  const names = new Set(locks.flatMap((lock) => {
    if (ways[lock]) return ways[lock];
    throw new Error(`Nothing is called ${JSON.stringify(lock)} here; lock ${Object.keys(ways).join(", ")}.`);
  }));
  return [...names].map((name) => directions[name]);
}

/** The sum of directions. amounts: by name; own: vectors of the visitor's own as text, by name. */
function offsetOf({ dim, directions, limits }, amounts, own = {}) {
  return combined(Object.entries(amounts).map(([name, amount]) => {
    const vector = Object.hasOwn(own, name) ? decodeVector(own[name]) : directions[name];
    if (vector?.length === dim) return [vector, checkedAmount(name, amount, limits.amount)];
    throw new Error(`There is no direction ${JSON.stringify(name)} for this model.`);
  }));
}

/** Recipes between two faces in equal steps, both left out. See `recipes_between` in mixing.py. */
function recipesBetween(recipes, a, b, steps, { dim, limits }) {
  if (!Number.isInteger(steps) || steps < 2 || steps > limits.steps) {
    throw new Error(`The number of steps is a whole number from 2 to ${limits.steps}; got ${steps}.`);
  }
  const positions = Array.from({ length: steps - 1 }, (_, index) => (index + 1) / steps);
  const same = a.truncation === b.truncation;
  const plain = [a, b].every(({ vector, toward }) => vector === null && toward === null);
  if (plain && same && a.clarity === b.clarity) {
    return positions.map((position) => checkedRecipe({ ...a, toward: b.seed, position }));
  }
  const [start, end] = [a, b].map((recipe) => (same ? untruncated(recipe, dim) : truncated(recipe, dim)));
  return positions.map((position) => recipes.of(slerp(start, end, position), {
    seed: position <= 0.5 ? a.seed : b.seed,
    truncation: same ? a.truncation : 1,
    clarity: a.clarity + (b.clarity - a.clarity) * position,
  }));
}

/** Children have the mean settings of their parents; see `mean_settings` in mixing.py. */
function meanSettings(parents) {
  const settings = ["truncation", "clarity"].map((name) => {
    const values = parents.map((parent) => parent[name]);
    return [name, Math.min(mean(values), Math.max(...values))];
  });
  return { ...parents[0], ...Object.fromEntries(settings) };
}

/**
 * Clear faces of seeds from one on: {seed, z}, of every few the one that is predicted to be clearest; of all seeds
 * where nothing predicts clarity. changed(latents): what is done to their latents before. See drawing/clarity.py.
 */
function clearest(count, first, predict, { dim, limits }, changed = (latents) => latents) {
  const each = predict ? limits.bestOf : 1;
  const seeds = seedsFrom(first, count * each);
  const latents = changed(seeds.map((seed) => latentOfSeed(seed, dim)));
  const faces = seeds.map((seed, index) => ({ seed, z: latents[index] }));
  if (!predict) return faces;
  return Array.from({ length: count }, (_, index) => {
    const group = faces.slice(index * each, (index + 1) * each);
    const predicted = group.map(({ z }) => predict(z));
    return group[predicted.indexOf(Math.max(...predicted))];
  });
}

/** Creates the tools, each of which returns recipes. about: see createArtist; predict: of clarity.js, or undefined. */
function createTools(about, recipes, predict) {
  const { dim, limits } = about;
  const read = recipes.read;
  const plain = (recipe) => untruncated(recipe, dim);
  const locked = (latents, z, locks) => {
    const ways = waysOf(about, locks);
    return ways.length ? held(latents, z, ways) : latents;
  };
  const from = (origin, latents) => latents.map((z) => recipes.of(z, origin));

  return {
    draw: ({ recipes: texts }) => recipes.readAll(texts),
    fresh: ({ count, seed, ...settings }) => (
      clearest(recipes.checkedCount(count), seed, predict, about)
        .map((face) => recipes.ofSeed(face.seed, settings.truncation, predict ? settings.clarity : 0))),
    sharp: ({ recipe }) => [read(recipe)],
    roll({ recipe, seeds, locks }) {
      const origin = read(recipe);
      return from(origin, locked(seeds.map((seed) => latentOfSeed(seed, dim)), plain(origin), locks));
    },
    beside({ recipe, count, seed, locks }) {
      const origin = read(recipe);
      const change = (latents) => locked(latents, plain(origin), locks);
      const faces = clearest(recipes.checkedCount(count), seed, predict, about, change);
      return from(origin, faces.map(({ z }) => z));
    },
    vary({ recipe, strength, seed, locks = [] }) {
      const origin = read(recipe);
      const z = plain(origin);
      return from(origin, locked(vary(z, strength, limits.shown, seed), z, locks));
    },
    steer({ recipe, amounts, own }) {
      const origin = read(recipe);
      const z = plain(origin);
      return from(origin, [Object.keys(amounts).length ? moved(z, offsetOf(about, amounts, own)) : z]);
    },
    breed({ recipes: texts, mutation, seed }) {
      const parents = recipes.readAll(texts);
      if (parents.length < 2 || parents.length > limits.parents) {
        throw new Error(`A child has 2 to ${limits.parents} parents; got ${parents.length}.`);
      }
      return from(meanSettings(parents), breed(parents.map(plain), limits.shown, mutation, seed));
    },
    mix({ a, b, c }) {
      const origin = read(c);
      return from(origin, [arithmetic(plain(read(a)), plain(read(b)), plain(origin))]);
    },
    between: ({ a, b, steps }) => recipesBetween(recipes, read(a), read(b), steps, about),
    /** The vector of a visitor's direction that goes where sliders lead together. */
    ownSliders: (amounts, own) => encodeVector(wayOf(offsetOf(about, amounts, own), limits.ownLength)),
    /** The vector of one that leads from face b to face a. */
    ownFaces(a, b) {
      const [to, start] = [plain(read(a)), plain(read(b))];
      const offset = to.map((number, index) => number - start[index]);
      if (offset.some(Boolean)) return encodeVector(wayOf(offset, limits.ownLength));
      throw new Error("The faces on both sides are the same; no direction runs between them.");
    },
  };
}

/**
 * Creates the artist. about: {model, revision, dim, most, limits, directions, locks, clarity}: the model, the length of
 * its latents, faces at a time, LIMITS of app/faces/exported.py, vectors by name, names of directions by lock, and the
 * numbers of clarity.js or null.
 */
export function createArtist(about) {
  const { dim, clarity } = about;
  const recipes = createRecipes(about);
  const { clear, predict } = clarity ? createClarity(clarity) : {};
  const tools = createTools(about, recipes, predict);

  function cleared(z, share) {
    if (!share) return z;
    if (clear) return clear(z, share);
    throw new Error(`No clarity was fitted to ${about.model}. Set clarity to 0.`);
  }

  return {
    tools,
    read: recipes.read,
    write: writeRecipe,
    /** The latent that draws a recipe, truncation and clarity applied. */
    latentOf: (recipe) => cleared(truncated(recipe, dim), recipe.clarity),
    /**
     * The latents of a film, each with the clarity of the faces before and after it.
     *
     * easing: "smooth" or "linear". wanted: the frames whose latents are returned.
     */
    path(texts, frames, loop, easing, wanted) {
      const faces = recipes.readAll(texts);
      if (faces.length < 2) throw new Error(`A film needs 2 or more faces; got ${faces.length}.`);
      const shares = [...faces, ...faces.slice(0, loop ? 1 : 0)].map((recipe) => recipe.clarity);
      const places = placesOf(shares.length - 1, frames, loop);
      const way = walk(faces.map((recipe) => truncated(recipe, dim)), frames, loop, EASINGS[easing]);
      return wanted.map((frame) => {
        const below = Math.min(Math.floor(places[frame]), shares.length - 2);
        return cleared(way[frame], shares[below] + (shares[below + 1] - shares[below]) * (places[frame] - below));
      });
    },
  };
}
