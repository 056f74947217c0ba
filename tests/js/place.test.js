import assert from "node:assert/strict";
import test from "node:test";

import { createPlace, readAmounts, readPlace, stepOf, writePlace } from "../../app/components/core/place.js";
import { recipeOfSeed } from "../../app/components/shared/recipes.js";

const MODEL = { model: "<b>ü😀&#=", revision: "0123456789ab" };
const [FACE, BASE] = [7, 8].map((seed) => recipeOfSeed(MODEL, seed));

test("a place is read back from its address", () => {
  const amounts = { smile: 1.5, "a&b=#<img>": -2 };
  const place = { tab: "Train", tool: "mix", seed: "5", face: FACE, base: BASE, amounts: JSON.stringify(amounts) };
  const hash = writePlace(place);
  assert.match(hash, /^#[\x21-\x7e]+$/); // nothing that an address escapes again
  assert.deepEqual(readPlace(hash), place);
  assert.deepEqual(stepOf(readPlace(hash)), { recipe: FACE, base: BASE, amounts });
  assert.deepEqual(stepOf(readPlace(writePlace({ face: FACE }))), { recipe: FACE });
});

test("what has no value stays out of the address", () => {
  assert.equal(writePlace({ tool: "", seed: undefined, count: 4 }), "#count=4");
  assert.deepEqual(readPlace(""), {});
  assert.deepEqual(readPlace("#"), {});
});

test("an address that would be too long leaves out the face and its sliders", () => {
  const long = JSON.stringify({ ...JSON.parse(FACE), vector: "A".repeat(7000) });
  assert.equal(writePlace({ tab: "Create", face: long, base: BASE, amounts: '{"smile":1}', tool: "mix" }),
    "#tab=Create&tool=mix");
  const both = JSON.stringify({ ...JSON.parse(FACE), vector: "A".repeat(3000) });
  assert.deepEqual(readPlace(writePlace({ face: both, base: both })), {});
});

test("a hostile address names no place", () => {
  const hostile = ["#face=%7B", "#face=7", "#base=null", "#tab=%3Cimg%3E", "#tab=constructor", "#face=%FF%00",
    "#face=%7B%22seed%22%3A1%7D"];
  for (const hash of hostile) assert.deepEqual(readPlace(hash), {}, hash);
  const place = readPlace("#__proto__=x&constructor=y");
  assert.equal(Object.getPrototypeOf(place), Object.prototype);
  assert.equal(stepOf({ face: FACE, base: "", amounts: '{"smile":1}' }).amounts, undefined);
});

test("only numbers that a slider can show are amounts", () => {
  assert.deepEqual(readAmounts('{"smile":1.5,"a":"2","b":null,"c":[1],"d":4,"e":-3,"f":1e999}'), { smile: 1.5, e: -3 });
  for (const text of ["", "{", "7", "null", '"abc"', "[1,2]", "true", undefined]) {
    assert.deepEqual(readAmounts(text), {}, text);
  }
});

/** Opens a page at an address; returns the addresses that it then has. heard: gets its event listeners, by type. */
function openPage(context, hash = "", search = "", heard = {}) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const addresses = [];
  const location = { hash, search, pathname: "/", href: `http://127.0.0.1/${search}${hash}` };
  const history = {
    replaceState(state, title, address) {
      const now = new URL(address, "http://127.0.0.1");
      Object.assign(location, { hash: now.hash, search: now.search, href: now.href });
      addresses.push(address);
    },
  };
  const events = {
    addEventListener(type, listener) { heard[type] = listener; },
    querySelectorAll: () => [{ textContent: "Create", getAttribute: () => "true" }],
  };
  Object.assign(globalThis, { location, history, window: events, document: events });
  context.after(() => { for (const name of ["location", "history", "window", "document"]) delete globalThis[name]; });
  return addresses;
}

test("the address follows the first change at once and the latest a moment later", (context) => {
  const addresses = openPage(context);
  const place = createPlace({ onFace() {} });
  for (const seed of ["1", "2", "3"]) place.set({ seed });
  assert.deepEqual(addresses, ["/#seed=1"]);
  context.mock.timers.tick(300);
  assert.deepEqual(addresses, ["/#seed=1", "/#seed=3"]);
  context.mock.timers.tick(1000);
  place.set({ count: "4" });
  assert.deepEqual(addresses, ["/#seed=1", "/#seed=3", "/#seed=3&count=4"]);
});

test("the address keeps its query, such as the theme, without the link that was opened", (context) => {
  const addresses = openPage(context, "", "?face=%7B%7D&__theme=dark&tray=[]&walk=7&sign-in=failed");
  const place = createPlace({ onFace() {} });
  place.set({ seed: "1" });
  context.mock.timers.tick(300);
  place.set({ seed: "2" });
  assert.deepEqual(addresses, ["/?__theme=dark#seed=1", "/?__theme=dark#seed=2"]);
});

test("a face that the page itself has put into its address is none that a link names", (context) => {
  const [addresses, faces] = [openPage(context), []];
  const place = createPlace({ onFace: (listener) => faces.push(listener) });
  for (const listener of faces) listener({ recipe: FACE });
  assert.match(addresses.at(-1), /face=/);
  assert.equal(place.named, false);
  assert.equal(createPlace({ onFace() {} }).named, true); // as after a reload
});

test("going back opens the face that was there, whichever model drew it", (context) => {
  const [heard, opened] = [{}, []];
  openPage(context, writePlace({ face: FACE, base: BASE, amounts: '{"smile":1}' }), "", heard);
  const of = { ...MODEL, revision: "ffffffffffff" };
  createPlace({
    onFace() {}, current: () => ({ recipe: recipeOfSeed(of, 7) }), open: (step) => opened.push(step),
    show: () => assert.fail("the model in use cannot draw it"),
  });
  heard.popstate();
  assert.deepEqual(opened, [{ recipe: FACE, base: BASE, amounts: { smile: 1 } }]);
});
