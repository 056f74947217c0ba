import assert from "node:assert/strict";
import test from "node:test";

import { recipeOfFile, recipeOfPng } from "../../app/components/core/file-recipe.js";

function chunk(kind, text) {
  const bytes = new Uint8Array(12 + text.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(Buffer.from(kind + text, "latin1"), 4);
  return bytes;
}

test("the recipe of a PNG is read from the chunk of that name", () => {
  const head = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  const png = (...chunks) => new Uint8Array(Buffer.concat([head, ...chunks]));
  assert.equal(recipeOfPng(png(chunk("IHDR", "x".repeat(13)), chunk("tEXt", 'ganime\0{"seed": 1}'))), '{"seed": 1}');
  assert.equal(recipeOfPng(png(chunk("tEXt", "Title\0face"))), "");
  assert.equal(recipeOfPng(new Uint8Array(Buffer.from("no picture"))), "");
  assert.equal(recipeOfPng(new Uint8Array(0)), "");
  assert.equal(recipeOfPng(png(Buffer.from("\xff\xff\xff\xfftEXt", "latin1"))), "");
});

test("a file that is too large to be looked through has no recipe", async () => {
  const read = () => assert.fail("it was read");
  assert.equal(await recipeOfFile({ size: 2 ** 26 + 1, arrayBuffer: read }), "");
  assert.equal(await recipeOfFile({ size: 4, arrayBuffer: async () => new ArrayBuffer(4) }), "");
});
