import assert from "node:assert/strict";
import test from "node:test";

import { createHistory } from "../../app/components/core/history.js";

test("what was done can be undone and redone in order", () => {
  const history = createHistory();
  assert.deepEqual([history.canUndo(), history.canRedo()], [false, false]);
  history.record("face", "a", "b");
  history.record("tray", [], ["b"]);
  assert.deepEqual(history.next(-1), { part: "tray", before: [], after: ["b"] });
  history.move(-1);
  assert.equal(history.next(-1).part, "face");
  assert.equal(history.next(1).part, "tray");
  history.move(1);
  assert.deepEqual([history.canUndo(), history.canRedo()], [true, false]);
});

test("a new change drops what could be redone", () => {
  const history = createHistory();
  history.record("face", "a", "b");
  history.move(-1);
  history.record("face", "a", "c");
  assert.equal(history.canRedo(), false);
  assert.equal(history.next(-1).after, "c");
});

test("moves of one slider are one step", () => {
  const history = createHistory();
  history.record("face", "a", "b");
  history.record("face", "b", "c", true);
  history.record("face", "c", "d", true);
  assert.deepEqual(history.next(-1), { part: "face", before: "a", after: "d" });
  history.move(-1);
  assert.equal(history.canUndo(), false);
});

test("a step does not extend one of another part", () => {
  const history = createHistory();
  history.record("tray", 1, 2);
  history.record("face", "a", "b", true);
  assert.deepEqual(history.next(-1), { part: "face", before: "a", after: "b" });
});

test("only so many steps are kept", () => {
  const history = createHistory(3);
  for (let step = 0; step < 5; step += 1) history.record("face", step, step + 1);
  for (let step = 0; step < 3; step += 1) history.move(-1);
  assert.equal(history.canUndo(), false);
  assert.equal(history.next(1).before, 2);
});

test("steps of a part, or one that cannot be taken, are left out", () => {
  const history = createHistory();
  history.record("face", "a", "b");
  history.record("tray", 1, 2);
  history.record("face", "b", "c");
  history.forget("tray");
  assert.equal(history.next(-1).after, "c");
  history.dropNext(-1);
  assert.equal(history.next(-1).after, "b");
  history.move(-1);
  assert.deepEqual([history.canUndo(), history.canRedo()], [false, true]);
  history.dropNext(1);
  assert.equal(history.canRedo(), false);
});
