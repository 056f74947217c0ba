import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../app/components");
const files = readdirSync(ROOT, { recursive: true }).filter((name) => name.endsWith(".js"));
const sourceOf = (name) => readFileSync(join(ROOT, name), "utf8");
const importsOf = (name) => [...sourceOf(name).matchAll(/from "(\.[^"]+)"/g)]
  .map(([, path]) => relative(ROOT, join(ROOT, dirname(name), path)));

test("no module imports itself in a circle", () => {
  const visit = (name, path) => {
    assert.ok(!path.includes(name), [...path, name].join(" -> "));
    for (const imported of importsOf(name)) visit(imported, [...path, name]);
  };
  for (const name of files) visit(name, []);
});

test("modules import from their own folder and from shared alone, and shared from itself", () => {
  for (const name of files) {
    for (const imported of importsOf(name)) {
      assert.ok([dirname(name), "shared"].includes(dirname(imported)), `${name} imports ${imported}`);
    }
  }
});

test("storage and links each have one module", () => {
  const holders = (pattern) => files.filter((name) => pattern.test(sourceOf(name)));
  assert.deepEqual(holders(/"ganime-jobs"/), ["shared/kept-jobs.js"]);
  assert.deepEqual(holders(/localStorage\./), ["shared/storage.js"]);
  assert.deepEqual(holders(/new URLSearchParams/), ["shared/links.js"]);
});
