import assert from "node:assert/strict";
import test from "node:test";

import { togglePicked } from "../../app/components/explore/choose.js";
import { recipeOfPng } from "../../app/components/explore/png-recipe.js";
import { groupItems } from "../../app/components/explore/tiles.js";
import { createLongWork } from "../../app/components/shared/long-work.js";
import { cornerOf } from "../../app/components/shared/sheets.js";

test("of the colours of a group one is picked at a time, of other traits several", () => {
  const group = ["blue_hair", "red_hair", "long_hair", "smile"];
  let picked = new Set();
  for (const name of ["blue_hair", "smile", "long_hair", "red_hair"]) picked = togglePicked(picked, name, group);
  assert.deepEqual([...picked].sort(), ["long_hair", "red_hair", "smile"].filter((name) => picked.has(name)));
  assert.ok(picked.has("red_hair") && !picked.has("blue_hair"));
  assert.deepEqual([...togglePicked(new Set(["smile"]), "smile", group)], []);
});

test("items stand in their groups in the order in which they came", () => {
  const items = [{ group: "b", name: 1 }, { group: "a", name: 2 }, { group: "b", name: 3 }];
  assert.deepEqual([...groupItems(items)].map(([group, all]) => [group, all.length]), [["b", 2], ["a", 1]]);
});

test("tiles of a sheet stand in rows", () => {
  const layout = { columns: 8, side: 64 };
  assert.deepEqual([0, 7, 8, 17].map((index) => cornerOf(index, layout)), [[0, 0], [448, 0], [0, 64], [64, 128]]);
});

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

test("long work reports its progress and ends with the last answer", async () => {
  const answers = [{ progress: 0.5 }, { faces: 8 }];
  const busy = [];
  const progress = [];
  const work = createLongWork(async () => answers.shift(), (on) => busy.push(on));
  const answer = await work.run(async () => ({ search: "a" }), (event) => progress.push(event.progress));
  assert.deepEqual([answer, progress, busy], [{ faces: 8 }, [0.5], [true, false]]);
});

test("long work that is replaced gives its place back before the next one begins", async () => {
  const calls = [];
  const request = async (name, search) => {
    calls.push(`${name} ${search}`);
    await new Promise(setImmediate);
    return search === "a" ? { progress: 0.1 } : { done: true };
  };
  const work = createLongWork(request);
  const first = work.run(async () => { calls.push("begin a"); return { search: "a" }; }, () => {});
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  const second = work.run(async () => { calls.push("begin b"); return { search: "b" }; }, () => {});
  assert.deepEqual(await Promise.all([first, second]), [null, { done: true }]);
  assert.deepEqual(calls.slice(-3), ["leave a", "begin b", "ask b"]);
});

test("an error of work that was stopped is nobody's", async () => {
  const work = createLongWork(async () => { throw new Error("gone"); });
  const begin = async () => ({ search: "a" });
  const running = work.run(begin, () => {});
  work.stop();
  assert.equal(await running, null);
  await assert.rejects(work.run(begin, () => {}), /gone/);
});
