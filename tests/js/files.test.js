import assert from "node:assert/strict";
import test from "node:test";

import { openFile } from "../../app/components/dock/files.js";
import { recipeOfSeed } from "../../app/components/shared/recipes.js";

const FACE = recipeOfSeed({ model: "tiny", revision: "0123456789ab" }, 7);

/** A PNG that holds nothing but a recipe. */
function pngOf(recipe) {
  const text = `tEXtganime\0${recipe}`;
  const head = Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\0", "latin1");
  head.writeUInt32BE(text.length - 4, 8);
  const bytes = new Uint8Array(Buffer.concat([head, Buffer.from(text, "latin1"), Buffer.alloc(4)]));
  return { name: "face.png", size: bytes.length, arrayBuffer: async () => bytes.buffer };
}

test("a saved face that is dropped is opened, whichever model drew it", async (context) => {
  globalThis.document = { querySelectorAll: () => [] };
  context.after(() => { delete globalThis.document; });
  const [opened, said] = [[], []];
  const core = {
    model: { most: 64 }, attempt: (work) => work(), say: (words) => said.push(words),
    open: async (step) => opened.push(step), show: () => assert.fail("the model in use cannot draw it"),
  };
  await openFile(core, pngOf(FACE));
  assert.deepEqual(opened, [{ recipe: FACE }]);
  assert.match(said[0], /Restored/);
});
