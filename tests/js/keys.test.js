import assert from "node:assert/strict";
import test from "node:test";

import { actionOf } from "../../app/components/dock/keys.js";

const press = (key, changes = {}) => actionOf({ key, ...changes });

test("letters act whether or not they are capital", () => {
  const actions = { d: "dice", K: "keep", n: "next", Z: "undo", y: "redo", "?": "help" };
  for (const [key, action] of Object.entries(actions)) assert.equal(press(key), action, key);
});

test("with Ctrl or Cmd only undo and redo act, and the browser keeps its own keys", () => {
  for (const held of [{ ctrlKey: true }, { metaKey: true }]) {
    assert.equal(press("z", held), "undo");
    assert.equal(press("Z", { ...held, shiftKey: true }), "redo");
    assert.equal(press("y", held), "redo");
    for (const key of ["d", "k", "n", "r", "c", "v", "?"]) assert.equal(press(key, held), "", key);
  }
});

test("keys with Alt, and all others, ask for nothing", () => {
  for (const key of ["d", "z", "k"]) assert.equal(press(key, { altKey: true }), "");
  for (const key of ["Enter", " ", "ArrowLeft", "Tab", "Escape", "a", "Dead"]) {
    assert.equal(press(key), "", key);
  }
});
