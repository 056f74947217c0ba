import assert from "node:assert/strict";
import test from "node:test";

import { createArrival } from "../../app/components/explore/arrival.js";
import { cleanDirections, MOST_KEPT, newDirections } from "../../app/components/explore/own-store.js";
import { createTrayImport } from "../../app/components/explore/tray.js";
import { parseTrayFile, readTray, recipesOf, trayToFile, trayToLink } from "../../app/components/explore/tray-store.js";
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

test("sliders come with a file and never with a link", async () => {
  const given = { ganime: "tray", faces: [JSON.parse(RECIPES[0])], directions: [SMILE] };
  const added = [];
  const stage = {
    model: { most: 64 }, models: { take: () => null }, isOfModel: () => true, attempt: (work) => work(), say() {},
    ask: async () => ({}), pictures: { add: async () => [RECIPES[0]] }, show() {},
    current: () => ({ recipe: RECIPES[0] }),
  };
  const faces = { recipes: () => [], change() {}, load() {}, draw() {} };
  const imports = createTrayImport(stage, faces, { add: (list) => { added.push(list); return 0; } });
  globalThis.location = { search: `?tray=${encodeURIComponent(JSON.stringify(given))}` };
  await createArrival(stage, { tray: { ...faces, ...imports }, own: { load() {} } }).begin();
  await imports.openFile({ size: 9, text: async () => JSON.stringify(given) });
  assert.deepEqual(added, [undefined, [SMILE]]);
});
