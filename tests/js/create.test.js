import assert from "node:assert/strict";
import test from "node:test";

globalThis.matchMedia = () => ({ matches: false }); // asked for when a module is loaded
const { createFinding, inOrder, togglePicked } = await import("../../app/components/create/find.js");
const { createGallery, readRoll, wholeNumber, writeRoll } = await import("../../app/components/create/gallery.js");
const { noteOf, resetSliders } = await import("../../app/components/create/looks.js");
const { createSearches } = await import("../../app/components/create/searches.js");
const { surpriseOf } = await import("../../app/components/create/steer.js");

test("of the colours of a group and of the lengths of hair one is picked at a time, of other traits several", () => {
  const group = ["blue_hair", "red_hair", "long_hair", "smile"];
  let picked = new Set();
  for (const name of ["blue_hair", "smile", "long_hair", "red_hair"]) picked = togglePicked(picked, name, group);
  assert.deepEqual([...picked].sort(), ["long_hair", "red_hair", "smile"]);
  assert.deepEqual([...togglePicked(new Set(["smile"]), "smile", group)], []);
  assert.deepEqual([...togglePicked(new Set(["long_hair", "hat"]), "short_hair", ["hat", "long_hair", "short_hair"])],
    ["hat", "short_hair"]);
  assert.deepEqual([...togglePicked(new Set(["blue_eyes"]), "blue_hair", group)].sort(), ["blue_eyes", "blue_hair"]);
});

test("faces that were found keep their places, and others come after them", () => {
  assert.deepEqual(inOrder([], ["b", "a"]), ["b", "a"]);
  assert.deepEqual(inOrder(["b", "a"], ["a", "c", "b"]), ["b", "a", "c"]);
  assert.deepEqual(inOrder(["b", "a", "d"], ["c", "d", "b"]), ["b", "d", "c"]); // the best eight of more
});

/** Stands for any element, with the properties that are set. */
const anElement = () => ({
  dataset: {}, hidden: true, append() {}, replaceChildren() {}, addEventListener() {}, querySelectorAll: () => [],
  setAttribute(name, value) { this[name] = value; }, closest: anElement, focus() {},
});

/** The search for faces and the gallery, whose server never finishes a search or a roll. */
function createSearching(context) {
  const elements = new Map();
  const $ = (selector) => elements.get(selector) || elements.set(selector, anElement()).get(selector);
  const left = [];
  const requests = {
    ask: () => new Promise((resolve) => { view.report = resolve; }), leave: (work) => left.push(work),
  };
  const view = {
    $, left, model: { shown: 8 }, pictures: { has: () => true, paint() {} }, seen: { add() {} }, tray: {},
    place: { read: () => ({}), set() {} }, current: () => null, isOfModel: () => true, onModel() {}, onFirstFace() {},
    attempt: (act) => act(), request: async (name, work) => requests[name](work), ask: async () => ({ work: "a" }),
  };
  globalThis.document = { createElement: anElement };
  context.after(() => { delete globalThis.document; });
  const searches = createSearches(view);
  const never = () => new Promise(() => {});
  const gallery = createGallery(view, { draw: never, fresh: never });
  return { view, searches, gallery, finding: createFinding(view, searches, gallery) };
}

const soon = () => new Promise((resolve) => { setTimeout(resolve, 5); });
const reportOf = (...seeds) => ({
  progress: 0.1, text: "some", found: seeds.map((seed) => JSON.stringify({ model: "tiny", seed })),
});

test("a roll ends the search, whose later faces do not take its place", async (context) => {
  for (const before of [[], [1, 2]]) {
    const { view, gallery, finding } = createSearching(context);
    const search = finding.find(["smile"]);
    await soon();
    if (before.length) view.report(reportOf(...before));
    await soon();
    gallery.actions.roll();
    assert.ok(view.$(".find-bar").hidden);
    view.report(reportOf(...before, 3));
    await search;
    assert.deepEqual([view.$(".rolls h2").textContent, view.$(".found-text").textContent, view.left],
      [before.length ? "Found: 2" : undefined, "", ["a"]]); // until the roll is there
  }
});

test("a search whose place another takes leaves its faces and a way back to the roll", async (context) => {
  const { view, searches, finding } = createSearching(context);
  const search = finding.find(["smile"]);
  await soon();
  view.report(reportOf(1, 2));
  await soon();
  assert.ok(view.$('[data-do="back"]').hidden);
  searches.run("pick", "", () => new Promise(() => {}), () => {});
  view.report(reportOf(1, 2));
  await search;
  assert.equal(view.$('[data-do="back"]').hidden, false);
  assert.equal(view.$(".near-bar").hidden, false);
});

test("faces that were found are not pale, whatever was being rolled", async (context) => {
  const { view, gallery } = createSearching(context);
  gallery.actions.roll();
  await soon();
  assert.equal(view.$(".gallery")["aria-busy"], "true");
  gallery.showFound([]);
  assert.equal(view.$(".gallery")["aria-busy"], "false");
});

test("a whole number is one that is typed as such and in range", () => {
  const typed = { 0: 0, 4294967295: 4294967295, " 7 ": 7, "1e3": 1000 };
  for (const [text, number] of Object.entries(typed)) assert.equal(wholeNumber(text, 0, 4294967295), number, text);
  for (const text of ["", " ", "-1", "1.5", "4294967296", "x", "NaN", "Infinity", "1e400", undefined, null]) {
    assert.equal(wholeNumber(text, 0, 4294967295), null, String(text));
  }
});

test("an address says of a roll what differs from a first visit, and brings it back", () => {
  const first = readRoll({});
  assert.deepEqual(writeRoll(first), { seed: "", best: "", count: "" });
  for (const roll of [
    first, { ...first, every: true }, { seed: 0, count: 4, every: false }, { seed: 4294967295, count: 64, every: true },
  ]) assert.deepEqual(readRoll(writeRoll(roll)), roll);
  assert.deepEqual(readRoll({ seed: "-1", count: "65", best: "1" }), first);
});

test("a surprise has one hair colour, one eye colour and stays within every range", () => {
  const colours = ["blue_hair", "red_hair", "green_eyes", "blue_eyes"].map((name) => (
    { name, group: name.endsWith("hair") ? "Hair colour" : "Eye colour", range: [-1, 1.5] }));
  const others = [
    { name: "smile", group: "Expression", range: [-0.5, 2] }, { name: "hair_length", group: "More", range: [-3, 3] },
    { name: "hat", group: "More", range: [-3, 3] }, { name: "sefa-1", group: "Without a name", range: [-3, 3] },
  ];
  const seen = new Set();
  for (let turn = 0; turn < 200; turn += 1) {
    const amounts = surpriseOf([...colours, ...others]);
    const chosen = colours.filter(({ name }) => amounts[name]).map(({ name }) => name);
    assert.deepEqual(chosen.map((name) => name.split("_")[1]).sort(), ["eyes", "hair"]);
    for (const name of chosen) assert.equal(amounts[name], 1.5);
    assert.ok(amounts.smile >= -0.5 && amounts.smile <= 2);
    assert.deepEqual([amounts.hat, "sefa-1" in amounts], [0, false]);
    seen.add(chosen.join());
  }
  assert.equal(seen.size, 4);
  assert.deepEqual(surpriseOf([]), {});
  assert.deepEqual(surpriseOf([others[3]]), {});
});

test("all sliders go back to the looks of the model, and a found face keeps the clarity in its vector", async () => {
  const face = { model: "tiny", revision: "0123456789ab", seed: 7 };
  const found = { ...face, vector: "abcd", truncation: 1 };
  const cases = [
    [{ ...face, truncation: 1.3, clarity: 0.95 }, { smile: 1 }, [0.35, 1]],
    [{ ...face, truncation: 1.3, clarity: 0.95 }, {}, [0.35, 1]],
    [{ ...face, truncation: 1, clarity: 0.35 }, {}, null],
    [found, {}, null],
    [{ ...found, clarity: 0.6 }, {}, [0.35, 1]],
  ];
  for (const [base, amounts, looks] of cases) {
    let shown = null;
    const settings = { clarity: base.clarity || 0, truncation: base.truncation };
    const view = { model: { clarity: 0.35 }, settings, async show({ recipe }) { shown = JSON.parse(recipe); } };
    await resetSliders(view, {}, { base: () => JSON.stringify(base), amounts: () => amounts });
    assert.deepEqual(shown && [shown.clarity, shown.truncation], looks);
  }
});

test("a face whose look is not that of new faces says so", () => {
  const usual = { clarity: 0.35, truncation: 1 };
  assert.equal(noteOf(usual, usual), "");
  assert.match(noteOf({ clarity: 0, truncation: 1 }, usual), /as it was found.*clarity 0\.35\./);
  assert.match(noteOf({ clarity: 0.35, truncation: 1.1 }, usual), /boldness 1\./);
});
