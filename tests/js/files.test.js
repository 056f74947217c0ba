import assert from "node:assert/strict";
import test from "node:test";

import { openFile } from "../../app/components/dock/files.js";
import { squareOf } from "../../app/components/shared/square.js";
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

/** Opens a tab of a page without a browser. */
function openTab(context, name) {
  const tab = { textContent: name, getAttribute: () => "true" };
  globalThis.document = { querySelectorAll: () => [tab] };
  context.after(() => { delete globalThis.document; });
}

test("a saved face that is dropped is opened, whichever model drew it", async (context) => {
  openTab(context, "Create");
  const [opened, said] = [[], []];
  const core = {
    model: { most: 64 }, attempt: (work) => work(), say: (words) => said.push(words),
    open: async (step) => opened.push(step), show: () => assert.fail("the model in use cannot draw it"),
  };
  await openFile(core, pngOf(FACE));
  assert.deepEqual(opened, [{ recipe: FACE }]);
  assert.match(said[0], /Restored/);
});

test("a picture is brought into the film only where a face like it can be searched for", async (context) => {
  openTab(context, "Interpolate");
  const [added, searched] = [[], []];
  let can = true;
  const core = {
    model: { most: 64 }, attempt: (work) => work(), can: () => can,
    addToFilm: (file) => added.push(file.name), searchPicture: (file) => searched.push(file.name), // which says why
  };
  const picture = { name: "cat.png", size: 0, arrayBuffer: async () => new ArrayBuffer(0) };
  await openFile(core, picture);
  assert.deepEqual([added, searched], [["cat.png"], []]);
  can = false; // without a server
  await openFile(core, picture);
  await openFile(core, pngOf(FACE));
  assert.deepEqual([added, searched], [["cat.png", "face.png"], ["cat.png"]]);
});

test("a file that cannot be opened is refused with what can be, and where models are loaded", async (context) => {
  globalThis.createImageBitmap = async () => { throw new Error("no picture"); };
  context.after(() => { delete globalThis.createImageBitmap; });
  await assert.rejects(squareOf({ name: "model.zip" }), /neither a picture.*film or tray.*model.*menu at the top/);
});
