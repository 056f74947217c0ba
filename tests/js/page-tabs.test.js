import assert from "node:assert/strict";
import test from "node:test";

import { openTab } from "../../app/components/shared/page-tabs.js";

test("a tab is opened at once, or as soon as the page has tabs", (context) => {
  context.after(() => {
    delete globalThis.document;
    delete globalThis.MutationObserver;
  });
  const opened = [];
  const tabs = [];
  const observers = new Set();
  globalThis.document = { querySelectorAll: () => tabs };
  globalThis.MutationObserver = class {
    constructor(act) { this.act = act; }

    observe() { observers.add(this); }

    disconnect() { observers.delete(this); }
  };
  const change = () => { for (const observer of observers) observer.act([], observer); };

  openTab("Train");
  change();
  assert.deepEqual(opened, []);
  for (const name of ["Create", "Train"]) tabs.push({ textContent: ` ${name} `, click: () => opened.push(name) });
  change();
  change();
  assert.deepEqual(opened, ["Train"]);
  openTab("Create");
  openTab("Nowhere");
  assert.deepEqual([opened, observers.size], [["Train", "Create"], 0]);
});
