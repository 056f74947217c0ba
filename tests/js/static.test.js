import assert from "node:assert/strict";
import test from "node:test";
import { gzipSync } from "node:zlib";

import { createWorker } from "../../app/components/shared/workers.js";
import { download, numbersOf } from "../../app/components/static/downloads.js";
import { halvesOf } from "../../app/components/static/encoding.js";
import { createLongWorks } from "../../app/components/static/long-works.js";
import { createRandom } from "../../app/components/static/random.js";
import { recordableKinds } from "../../app/components/static/recording.js";
import { createSharpener, createStudio, faceName } from "../../app/components/static/studio.js";
import { serve } from "../../app/components/static/worker.js";

const MODEL = { model: "tiny", revision: "0123456789ab" };
const recipeOf = (values) => JSON.stringify({ ...MODEL, seed: 7, truncation: 1, position: 0, ...values });

test("seeds give the numbers that NumPy's RandomState gives", () => {
  const random = createRandom(7);
  assert.deepEqual([random.normal(), random.normal()], [1.690525703800356, -0.4659373705408328]);
  assert.equal(createRandom(0).uniform(), 0.5488135039273248);
});

/** Stands in for the browser's cache and its network. */
function standIn(context, files) {
  const kept = new Map();
  const asked = [];
  const cache = {
    match: async (url) => kept.get(url)?.clone(),
    put: async (url, response) => { kept.set(url, response); },
  };
  globalThis.caches = { open: async () => cache };
  context.mock.method(globalThis, "fetch", async (url) => {
    asked.push(url);
    return new Response(files[url] || "", { status: files[url] ? 200 : 404 });
  });
  context.after(() => { delete globalThis.caches; });
  return asked;
}

test("a file is fetched once, unpacked, and its bytes are reported", async (context) => {
  const [url, plain] = ["https://example.org/a.gz", "https://example.org/b"];
  const packed = gzipSync("faces");
  const asked = standIn(context, { [url]: packed, [plain]: "as it is" });
  const text = (bytes) => new TextDecoder().decode(bytes);
  for (let time = 0; time < 2; time += 1) {
    let arrived = 0;
    assert.equal(text(await download("ganime", url, (bytes) => { arrived += bytes; })), "faces");
    assert.equal(arrived, packed.length);
  }
  assert.equal(text(await download("ganime", plain, () => {})), "as it is");
  assert.deepEqual(asked, [url, plain]);
  await assert.rejects(download("ganime", "https://example.org/missing", () => {}), /\/missing could not be loaded/);
});

test("where the browser keeps nothing, files are fetched each time", async (context) => {
  const asked = standIn(context, { "https://example.org/a": "1" });
  globalThis.caches = { open: async () => { throw new Error("storage is off"); } };
  for (let time = 0; time < 2; time += 1) await download("ganime", "https://example.org/a", () => {});
  assert.equal(asked.length, 2);
});

test("numbers of three kinds are read from one file, wherever they begin", () => {
  const bytes = new Uint8Array(2 + 4 + 8);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x3e00, true);
  view.setFloat32(2, 0.1, true);
  view.setFloat64(6, 0.1, true);
  const index = {
    a: { type: "f2", start: 0, count: 1 }, b: { type: "f4", start: 2, count: 1 }, c: { type: "f8", start: 6, count: 1 },
  };
  const { a, b, c } = numbersOf(bytes, index, halvesOf);
  assert.deepEqual([a[0], b[0], c[0]], [1.5, Math.fround(0.1), 0.1]);
});

test("long work tells its progress, then its answer or its error, and can be given up", async () => {
  const works = createLongWorks();
  let finish = null;
  const done = new Promise((resolve) => { finish = resolve; });
  const { work } = works.begin(async (report) => {
    report(0.5);
    return done;
  });
  assert.deepEqual(await works.ask(work), { progress: 0.5 });
  finish({ name: "film.png" });
  assert.deepEqual(await works.ask(work), { name: "film.png" });
  assert.match((await works.ask(work)).error, /stopped/); // its file is held no longer
  const failed = works.begin(async () => { throw new Error("no room"); });
  assert.deepEqual(await works.ask(failed.work), { error: "no room" });
  let left = null;
  const other = works.begin(async (_, isLeft) => {
    left = isLeft;
    return done;
  });
  works.leave(other.work);
  assert.equal(left(), true);
  assert.match((await works.ask(other.work)).error, /stopped/);
});

test("films are recorded as MP4 where that works, else as WebM, else not at all", () => {
  const able = (pattern) => ({ isTypeSupported: (type) => pattern.test(type) });
  assert.deepEqual(Object.keys(recordableKinds(able(/webm/))), [".webm"]);
  assert.equal(recordableKinds(able(/./))[".mp4"], "video/mp4;codecs=avc1.42E01E");
  assert.deepEqual(Object.keys(recordableKinds(able(/./))).sort(), [".mp4", ".webm"]);
  assert.deepEqual(recordableKinds(able(/no/)), {});
  assert.deepEqual(recordableKinds(undefined), {});
});

test("files of faces are named as on the server", () => {
  assert.equal(faceName(recipeOf({})), "face-7.png");
  assert.equal(faceName(recipeOf({ toward: 9, position: 0.333 })), "face-7-9-33.png");
});

test("what only a server can do is refused in words", async () => {
  const { server } = createStudio({ call: async () => { throw new Error("out of memory"); } }, () => {}, MODEL);
  assert.match((await server.project(["key", "picture"])).error, /browser alone/);
  const { final } = await server.drawing_model([recipeOf({ model: "other" }), "", []]);
  assert.match(final, /other drew this face.*tiny/);
  assert.deepEqual(await server.start_model([]), MODEL);
  assert.deepEqual(await server.own_sliders(["key", "mine", {}, {}]), { error: "out of memory" });
});

test("a worker answers each call with its result, its progress or its error", async () => {
  const [near, far] = [new EventTarget(), new EventTarget()];
  near.postMessage = (data) => far.dispatchEvent(Object.assign(new Event("message"), { data }));
  far.postMessage = (data) => near.dispatchEvent(Object.assign(new Event("message"), { data }));
  near.terminate = () => {};
  globalThis.Worker = class { constructor() { return near; } };
  serve(far);
  const worker = createWorker("worker.js");
  await assert.rejects(worker.call("paint", []), /not a function/);
  const waiting = worker.call("start", [{ base: "nowhere", about: { files: {} }, part: "generator" }]);
  await assert.rejects(waiting);
  near.postMessage = () => {};
  const lost = worker.call("draw", []);
  worker.end();
  await assert.rejects(lost, /stopped/);
  delete globalThis.Worker;
});

test("faces on view are sharpened where that is quick, after two trials; saved ones always", async () => {
  for (const [milliseconds, quick] of [[3500, false], [2500, true]]) {
    let time = 0;
    const call = async (action, [picture, size]) => {
      time += milliseconds;
      return { ...picture, side: size };
    };
    const sharpener = createSharpener(async () => {
      time += 60000; // to load the upscaler
      return { call };
    }, () => time);
    const view = () => sharpener.view({ side: 128 }).then(({ side }) => side === 512, () => false);
    assert.deepEqual([await view(), await view(), await view()], [true, true, quick]);
    assert.equal((await sharpener.enlarge({ side: 128 }, 1024)).side, 1024);
  }
});
