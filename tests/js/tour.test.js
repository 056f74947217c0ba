import assert from "node:assert/strict";
import test from "node:test";

globalThis.matchMedia = () => ({ matches: false }); // asked for when a module is loaded
const { isDone } = await import("../../app/components/dock/tour.js");

test("each step of the tour waits until it has been done", () => {
  const done = { rolled: true, picked: true, changed: true, kept: 2, filmed: true };
  for (let step = 0; step < 6; step += 1) {
    assert.ok(!isDone(step, { kept: 0 }), `step ${step} was done already`);
    assert.ok(isDone(step, done), `step ${step} cannot be done`);
  }
  assert.ok(!isDone(4, { ...done, kept: 1 }));
  assert.ok(!isDone(6, done)); // the last one waits for the visitor
});
