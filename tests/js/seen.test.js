import assert from "node:assert/strict";
import test from "node:test";

import { createSeen, noteCurrent } from "../../app/components/core/seen.js";

test("faces that were on view are listed once, the latest first, and the oldest are dropped", () => {
  const seen = createSeen(4);
  seen.add(["a", "b", "c"]);
  assert.deepEqual(seen.recipes(), ["a", "b", "c"]);
  seen.add(["b"]);
  seen.add(["d", "e"]);
  assert.deepEqual(seen.recipes(), ["d", "e", "b", "a"]);
});

test("a face that a slider passes does not count, the one that stays does", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const seen = createSeen();
  let show = null;
  noteCurrent({ seen, onFace: (listener) => { show = listener; } });
  show({ recipe: "passing" });
  context.mock.timers.tick(200);
  show({ recipe: "staying" });
  context.mock.timers.tick(1000);
  assert.deepEqual(seen.recipes(), ["staying"]);
});
