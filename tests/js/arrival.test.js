import assert from "node:assert/strict";
import test from "node:test";

import { arrive } from "../../app/components/core/arrival.js";

test("a page whose first face could not be drawn shows that of the next model", async (context) => {
  globalThis.location = { search: "" };
  context.after(() => { delete globalThis.location; });
  const [shown, listeners] = [[], []];
  const core = {
    model: { openers: [7] },
    slots: { restore() {} },
    place: { read: () => ({}) },
    current: () => null,
    faceOfSeed: (seed) => `face of seed ${seed}`,
    show: async (step) => { shown.push(step.recipe); },
    onModel: (listener) => listeners.push(listener),
  };
  await arrive(core);
  for (const listener of listeners) listener(core.model, false);
  assert.deepEqual(shown, ["face of seed 7", "face of seed 7"]);
});
