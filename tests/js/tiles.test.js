import assert from "node:assert/strict";
import test from "node:test";

import { createPictures } from "../../app/components/core/pictures.js";
import { cornerOf } from "../../app/components/shared/sheets.js";
import { recipeOfSeed } from "../../app/components/shared/recipes.js";
import { createTile, groupItems, stepOfArrow } from "../../app/components/shared/tiles.js";

globalThis.matchMedia = () => ({ matches: false }); // asked for when a module is loaded
const { lackOf } = await import("../../app/components/interpolate/interpolate.js");

const [MINE, OTHERS] = ["aaa", "bbb"].map((revision) => recipeOfSeed({ model: `model ${revision}`, revision }, 7));
const isOfModel = (recipe) => recipe.includes("aaa");

test("tiles of a sheet stand in rows", () => {
  const layout = { columns: 8, side: 64 };
  assert.deepEqual([0, 7, 8, 17].map((index) => cornerOf(index, layout)), [[0, 0], [448, 0], [0, 64], [64, 128]]);
});

test("a face is painted straight from its sheet, and cut out of it once where its picture is asked for", () => {
  const drawn = [];
  const canvasOf = () => ({
    append() {}, getContext: () => ({ drawImage: (sheet, ...place) => drawn.push([sheet, ...place]) }),
  });
  globalThis.document = { createElement: canvasOf };
  const pictures = createPictures(2);
  pictures.add({ picture: "sheet", recipes: ["a", "b", "c"], columns: 2, side: 64 });
  assert.deepEqual(["a", "b", "c"].map(pictures.has), [false, true, true]); // the oldest was evicted
  pictures.paint(canvasOf(), "c", 512);
  assert.deepEqual(drawn, [["sheet", 0, 64, 64, 64, 0, 0, 512, 512]]);
  const canvas = pictures.get("c");
  assert.equal(pictures.get("c"), canvas);
  assert.equal(drawn.length, 2);
  pictures.paint(canvasOf(), "c");
  assert.deepEqual(drawn[2], [canvas, 0, 0, 64, 64, 0, 0, 64, 64]);
  assert.equal(pictures.get("a"), undefined);
});

test("what is kept keeps its picture, however many faces are drawn after it", () => {
  const pictures = createPictures(3);
  let kept = ["b"];
  pictures.hold(() => kept);
  pictures.hold(() => ["c", "not drawn"]);
  const add = (...recipes) => pictures.add({ picture: "sheet", recipes, columns: 2, side: 64 });
  add("a", "b", "c");
  add("d", "e", "f");
  assert.deepEqual(["a", "b", "c", "d", "e", "f"].filter(pictures.has), ["b", "c", "f"]);
  kept = [];
  add("g");
  assert.deepEqual(["b", "c", "f", "g"].filter(pictures.has), ["c", "f", "g"]);
});

test("items stand in their groups in the order in which they came", () => {
  const items = [{ group: "b", name: 1 }, { group: "a", name: 2 }, { group: "b", name: 3 }];
  assert.deepEqual([...groupItems(items)].map(([group, all]) => [group, all.length]), [["b", 2], ["a", 1]]);
});

test("arrow keys move by a tile or by a row, and other keys do not", () => {
  const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Enter", "Tab"];
  assert.deepEqual(keys.map((key) => stepOfArrow(key, 4)), [-1, 1, -4, 4, undefined, undefined]);
});

/** An element of a page without a browser. */
function elementOf(tag) {
  const [classes, attributes] = [new Set(), {}];
  return {
    tag, attributes, classes, children: [], dataset: {}, classList: classes, addEventListener() {},
    append(...children) { this.children.push(...children); },
    setAttribute(name, value) { attributes[name] = value; },
  };
}

test("a tile of another model says so, whether or not its picture is there", (context) => {
  globalThis.document = { createElement: elementOf };
  context.after(() => { delete globalThis.document; });
  const tileOf = (recipe, isDrawn) => {
    const pictures = { has: () => isDrawn, paint() {} };
    const { attributes, classes, children, title } = createTile({ pictures, isOfModel }, recipe, () => {}, "Face 1");
    return [attributes["aria-label"], title, classes.has("undrawn"), children.map(({ textContent }) => textContent)];
  };
  const marked = ["Face 1, of model bbb", "of model bbb", true, [undefined, "of model bbb"]];
  assert.deepEqual(tileOf(OTHERS, true), marked);
  assert.deepEqual(tileOf(OTHERS, false), marked);
  assert.deepEqual(tileOf(MINE, false), ["Face 1, cannot be drawn", "cannot be drawn", true,
    [undefined, "cannot be drawn"]]);
  assert.deepEqual(tileOf(MINE, true), ["Face 1", undefined, false, [undefined]]);
});

test("the hint at the slots offers to choose a face of another model until one is chosen", () => {
  const of = (faces, target) => lackOf({ slots: { film: () => ({ faces }) }, isOfModel }, target);
  assert.equal(of([MINE, MINE], null), "");
  assert.match(of([MINE], null), /two or more/);
  for (const faces of [[MINE, OTHERS, MINE], [OTHERS, OTHERS]]) {
    assert.match(of(faces, null), /Choose one/);
    assert.match(of(faces, 1), /of the model in use/);
    assert.doesNotMatch(of(faces, 1), /Choose one/);
  }
  assert.match(of([MINE, OTHERS], 0), /Choose one/);
});
