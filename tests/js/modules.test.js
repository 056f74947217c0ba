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

// Folders, with those that their modules may import from beside their own; "." are the files beside the folders.
const ROOMS = {
  ".": ["shared"], shared: [], core: ["shared"], dock: ["core", "shared"], header: ["core", "shared"],
  create: ["core", "dock", "shared"],
  interpolate: ["core", "dock", "shared"], job: ["core", "shared"], faces: ["shared"], "on-hub": ["shared"],
  static: ["core", "interpolate", "shared"],
};

test("the folders are those on disk, and modules import only from those that theirs may use", () => {
  assert.deepEqual([...new Set(files.map(dirname))].sort(), Object.keys(ROOMS).sort());
  for (const name of files) {
    for (const imported of importsOf(name)) {
      const [room, other] = [dirname(name), dirname(imported)];
      assert.ok([room, ...ROOMS[room]].includes(other), `${name} imports ${imported}`);
    }
  }
});

test("storage and addresses each have their modules", () => {
  const holders = (pattern) => files.filter((name) => pattern.test(sourceOf(name)));
  assert.deepEqual(holders(/"ganime-jobs"/), ["shared/kept-jobs.js"]);
  assert.deepEqual(holders(/localStorage\./), ["shared/storage.js"]);
  assert.deepEqual(holders(/new URLSearchParams/), ["core/place.js", "shared/links.js"]);
});
