import assert from "node:assert/strict";
import test from "node:test";

import { cornerOf } from "../../app/components/shared/sheets.js";
import { groupItems, stepOfArrow } from "../../app/components/shared/tiles.js";

test("tiles of a sheet stand in rows", () => {
  const layout = { columns: 8, side: 64 };
  assert.deepEqual([0, 7, 8, 17].map((index) => cornerOf(index, layout)), [[0, 0], [448, 0], [0, 64], [64, 128]]);
});

test("items stand in their groups in the order in which they came", () => {
  const items = [{ group: "b", name: 1 }, { group: "a", name: 2 }, { group: "b", name: 3 }];
  assert.deepEqual([...groupItems(items)].map(([group, all]) => [group, all.length]), [["b", 2], ["a", 1]]);
});

test("arrow keys move by a tile or by a row, and other keys do not", () => {
  const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Enter", "Tab"];
  assert.deepEqual(keys.map((key) => stepOfArrow(key, 4)), [-1, 1, -4, 4, undefined, undefined]);
});
