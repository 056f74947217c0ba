import assert from "node:assert/strict";
import test from "node:test";

import {
  describeLook, describeRecipe, expandRecipe, isHubName, MAX_SEED, parseRecipe, randomSeed, recipeOfSeed, shortenRecipe,
  withSettings,
} from "../../app/components/shared/recipes.js";

const MODEL = { model: "owner/name", revision: "0123456789ab" };

test("only texts with a whole seed and a model's name are recipes", () => {
  assert.equal(parseRecipe(recipeOfSeed(MODEL, 7)).seed, 7);
  const bad = ["", "{", "null", "7", "[]", '{"seed": 1}', '{"seed": 1.5, "model": "a"}', '{"seed": "1", "model": "a"}'];
  for (const text of bad) assert.equal(parseRecipe(text), null, text);
});

test("a face is described by what makes it", () => {
  const describe = (face) => describeRecipe(expandRecipe(face, MODEL));
  assert.equal(describe({ seed: 3 }), "Seed 3");
  assert.match(describe({ seed: 3, toward: 14, position: 0.256 }), /26%.*3.*14/);
  assert.equal(describe({ seed: 25, vector: "abc" }), "Based on seed 25"); // which may be one of several
  assert.doesNotMatch(describe({ seed: 0, vector: "abc" }), /seed \d/);
});

test("clarity and boldness are described where they are not those of new faces", () => {
  const look = (face) => describeLook(JSON.stringify({ model: "tiny", seed: 3, ...face }), 0.35);
  assert.equal(look({ clarity: 0.35 }), "");
  assert.equal(look({ vector: "abc" }), "as drawn"); // as a face that was searched for
  assert.equal(look({ clarity: 0.8, truncation: 1.1 }), "clarity 0.8 · boldness 1.1");
});

test("a shortened face becomes the same recipe again", () => {
  for (const face of [
    { seed: 1, truncation: 1 },
    { seed: MAX_SEED, truncation: 0.5 },
    { seed: 1, truncation: 1, toward: 2, position: 0.25 },
    { seed: 1, truncation: 1, vector: "AAAA" },
  ]) {
    const recipe = { ...face, ...MODEL };
    const short = shortenRecipe(JSON.stringify(recipe));
    assert.deepEqual(JSON.parse(expandRecipe(short, MODEL)), recipe);
    assert.ok(!("model" in short) && !("revision" in short));
  }
  assert.deepEqual(shortenRecipe(recipeOfSeed(MODEL, 5)), { seed: 5 });
});

test("settings replace those of a face and leave everything else", () => {
  const face = recipeOfSeed({ ...MODEL, clarity: 0.7 }, 5);
  const edited = JSON.stringify({ ...JSON.parse(face), vector: "AAAA" });
  assert.deepEqual(JSON.parse(withSettings(edited, { clarity: 0.3, truncation: 0.9 })),
    { ...MODEL, seed: 5, truncation: 0.9, clarity: 0.3, vector: "AAAA" });
  assert.ok(!("clarity" in JSON.parse(withSettings(face, { clarity: 0, truncation: 1 }))));
  assert.equal(withSettings(face, { clarity: 0.7, truncation: 1 }), face); // byte for byte, as pictures are kept by it
  const plain = recipeOfSeed(MODEL, 5);
  assert.equal(withSettings(plain, { clarity: 0, truncation: 1 }), plain);
});

test("names of the hub have an owner and nothing that leads elsewhere", () => {
  for (const name of ["a/b", "owner/name-1.0"]) assert.ok(isHubName(name), name);
  for (const name of ["", "anime-128", "a/b/c", "../b", "<b>/x", "a/"]) assert.ok(!isHubName(name), name);
});

test("random seeds are whole and in range", () => {
  for (let turn = 0; turn < 100; turn += 1) {
    const seed = randomSeed();
    assert.ok(Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED);
  }
});
