import assert from "node:assert/strict";
import test from "node:test";

import { arrive } from "../../app/components/core/arrival.js";
import { cleanDirections, MOST_KEPT, newDirections } from "../../app/components/core/own-store.js";
import { createTrayImport } from "../../app/components/core/tray.js";
import { firstOfTwo } from "../../app/components/dock/shelf.js";
import { parseTrayFile, readTray, recipesOf, trayToFile, trayToLink } from "../../app/components/core/tray-store.js";
import { recipeOfSeed } from "../../app/components/shared/recipes.js";

const RECIPES = [1, 2, 3].map((seed) => recipeOfSeed({ model: "<b>ü😀", revision: "0123456789ab" }, seed));
const SMILE = { name: "smile", model: "tiny", revision: "a", vector: "AAAA" };

test("a tray is read back from its file and from its link", () => {
  const text = trayToFile(RECIPES, [SMILE]);
  assert.match(text, /^[\x00-\x7f]*$/); // eslint-disable-line no-control-regex
  const given = parseTrayFile(text);
  assert.deepEqual(recipesOf(given, "This file", 64), RECIPES);
  assert.deepEqual(given.directions, [SMILE]);
  assert.deepEqual(recipesOf(JSON.parse(trayToLink(RECIPES)), "This link", 64), RECIPES);
});

test("what is no tray is refused in words", () => {
  assert.throws(() => parseTrayFile("<b>"), /not JSON/);
  for (const given of [[7], [{ seed: 1 }], { ganime: "tray", faces: [null] }]) {
    assert.throws(() => recipesOf(given, "This file", 64), /This file holds no tray/);
  }
  assert.throws(() => recipesOf(JSON.parse(trayToLink(RECIPES)), "This link", 2), /3 faces.*at most 2/);
  for (const none of [null, 7, {}, { faces: [] }, { ganime: "tray" }]) assert.deepEqual(recipesOf(none, "It", 64), []);
});

test("of a damaged storage only faces are read, and not too many", (context) => {
  const store = (value) => { globalThis.localStorage = { getItem: () => value }; };
  context.after(() => { delete globalThis.localStorage; });
  store(JSON.stringify([...RECIPES, 7, "{", null]));
  assert.deepEqual(readTray(64), RECIPES);
  assert.deepEqual(readTray(2), RECIPES.slice(0, 2));
  for (const value of [null, "{", "7", "{}"]) {
    store(value);
    assert.deepEqual(readTray(64), []);
  }
  globalThis.localStorage = { getItem() { throw new Error("storage is off"); } };
  assert.deepEqual(readTray(64), []);
});

test("of a list from outside only well-formed directions are taken", () => {
  const bad = [null, 7, { ...SMILE, name: " " }, { ...SMILE, name: "x".repeat(65) }, { ...SMILE, vector: "<b>" },
    { ...SMILE, revision: 7 }];
  assert.deepEqual(cleanDirections([...bad, { ...SMILE, more: 1 }]), [SMILE]);
  assert.deepEqual(cleanDirections("smile"), []);
  assert.equal(cleanDirections(Array.from({ length: 300 }, () => SMILE)).length, MOST_KEPT);
});

test("a direction whose name is taken for the same weights is not new", () => {
  const other = { ...SMILE, revision: "b" };
  assert.deepEqual(newDirections([SMILE], [SMILE, other]), [other]);
});

/** A core with a tray, whose model draws every face. What came of it: `said`, `kept`, and `added` sliders. */
function coreWithTray(tray, most = 64) {
  const core = {
    said: [], added: [], model: { most, openers: [] }, isOfModel: () => true, onModel() {},
    attempt: (work) => work(), say: (words) => core.said.push(words), show: async () => true,
    current: () => ({ recipe: RECIPES[0] }), drawing: { draw: async (recipes) => recipes },
    own: { add(list) { core.added.push(list); return 0; } },
  };
  const faces = { recipes: () => tray, change(recipes) { core.kept = recipes; } };
  return Object.assign(core, { tray: { ...faces, ...createTrayImport(core, faces) } });
}

const fileOf = (text) => ({ size: text.length, text: async () => text });

test("sliders come with a file and never with a link", async (context) => {
  const given = { ganime: "tray", faces: [JSON.parse(RECIPES[0])], directions: [SMILE] };
  const core = coreWithTray([]);
  globalThis.location = { search: `?tray=${encodeURIComponent(JSON.stringify(given))}` };
  context.after(() => { delete globalThis.location; });
  await arrive(core);
  assert.deepEqual(core.kept, [RECIPES[0]]);
  await core.tray.openFile(fileOf(JSON.stringify(given)));
  assert.deepEqual(core.added, [undefined, [SMILE]]);
});

test("faces from a file are added once each, and as many as there is room for", async () => {
  const file = fileOf(trayToFile([...RECIPES, RECIPES[2]], []));
  const some = coreWithTray([RECIPES[0]]);
  await some.tray.openFile(file);
  assert.deepEqual(some.kept, RECIPES);
  assert.match(some.said.at(-1), /2 of 4/);
  const full = coreWithTray(["a", "b"], 4);
  await full.tray.openFile(file);
  assert.deepEqual(full.kept, ["a", "b", ...RECIPES.slice(0, 2)]);
  assert.match(full.said.at(-1), /1 were left out/);
});

test("a file that is too large, no JSON or without faces is refused in words", async () => {
  const { tray } = coreWithTray([]);
  await assert.rejects(tray.openFile({ size: 2 ** 20 + 1, text: () => assert.fail("it was read") }), /1,048,576 bytes/);
  await assert.rejects(tray.openFile(fileOf("<b>")), /not JSON/);
  await assert.rejects(tray.openFile(fileOf('{"ganime": "tray", "faces": []}')), /no tray/);
});

test("of the faces of a tray, the first is named whose model drew another one, too", () => {
  const of = (revision, seed) => recipeOfSeed({ model: "tiny", revision }, seed);
  const faces = [of("a", 1), of("b", 2), of("b", 3), of("a", 4)];
  assert.equal(firstOfTwo(faces), faces[0]);
  assert.equal(firstOfTwo(faces.slice(0, 3)), faces[1]);
  assert.equal(firstOfTwo(faces.slice(0, 2)), undefined);
});
