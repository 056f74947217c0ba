import assert from "node:assert/strict";
import test from "node:test";

import { wordsOfPlace } from "../../app/components/core/core.js";
import { requestFaces, unpackFaces } from "../../app/components/shared/face-requests.js";

function packed(head, picture) {
  const text = new TextEncoder().encode(JSON.stringify(head));
  const bytes = new Uint8Array(4 + text.length + picture.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(text, 4);
  bytes.set(picture, 4 + text.length);
  return bytes.buffer;
}

/** The bytes of some buffers as a stream of chunks of a length. */
function streamOf(buffers, length) {
  const bytes = buffers.flatMap((buffer) => [...new Uint8Array(buffer)]);
  const chunks = Array.from({ length: Math.ceil(bytes.length / length) }, (_, number) => (
    new Uint8Array(bytes.slice(number * length, (number + 1) * length))));
  return new ReadableStream({ start(controller) {
    for (const chunk of chunks) controller.enqueue(chunk);
    controller.close();
  } });
}

test("an answer is taken apart into its head and its picture", async () => {
  const buffer = packed({ model: "日本", columns: 2, recipes: ["a", "b"] }, [1, 2, 255]);
  const faces = await unpackFaces(streamOf([buffer], 1000));
  assert.deepEqual([faces.model, faces.columns, faces.recipes], ["日本", 2, ["a", "b"]]);
  assert.equal(faces.picture.type, "image/jpeg");
  assert.deepEqual([...new Uint8Array(await faces.picture.arrayBuffer())], [1, 2, 255]);
});

test("places come before the answer, however the bytes are cut", async () => {
  for (const length of [1, 3, 7, 1000]) {
    const places = [];
    const heads = [{ ahead: 2, seconds: 1.5 }, { ahead: 0, seconds: 0 }].map((place) => packed(place, []));
    const stream = streamOf([...heads, packed({ recipes: ["a"] }, [7, 8])], length);
    const faces = await unpackFaces(stream, (place) => places.push(place));
    assert.deepEqual(places, [{ ahead: 2, seconds: 1.5 }, { ahead: 0, seconds: 0 }]);
    assert.deepEqual([...new Uint8Array(await faces.picture.arrayBuffer())], [7, 8]);
  }
});

test("a place is said in words", () => {
  assert.equal(wordsOfPlace({ ahead: 2, seconds: 2.2 }), "Many visitors are drawing. You are 3rd, about 2 s.");
  const places = [0, 1, 10, 21].map((ahead) => /You are (\w+),/.exec(wordsOfPlace({ ahead, seconds: 0 }))[1]);
  assert.deepEqual(places, ["1st", "2nd", "11th", "22nd"]);
});

test("a refusal after a wait is told as any other, and a broken stream as no answer", async () => {
  const refusal = { error: "It is gone.", missing: true, status: 404 };
  const heads = [packed({ ahead: 1, seconds: 1 }, []), packed(refusal, [])];
  const gone = await failure(() => new Response(streamOf(heads, 5)));
  assert.deepEqual([gone.message, gone.missing, gone.busy], ["It is gone.", true, false]);
  assert.match((await failure(() => new Response(streamOf(heads.slice(0, 1), 5)))).message, /does not answer/);
});

async function failure(response) {
  globalThis.document = { baseURI: "http://page/below/" };
  globalThis.fetch = async (url) => {
    assert.equal(String(url), "http://page/below/ganime/draw");
    return response();
  };
  return requestFaces("draw", { key: "k", recipes: [] }).then(() => assert.fail("no error"), (error) => error);
}

test("a refusal is told in the words of the server", async () => {
  const gone = await failure(() => Response.json({ error: "It is gone.", missing: true }, { status: 404 }));
  assert.deepEqual([gone.message, gone.missing, gone.busy], ["It is gone.", true, false]);
  const busy = await failure(() => Response.json({ error: "Busy." }, { status: 503 }));
  assert.deepEqual([busy.message, busy.missing, busy.busy], ["Busy.", false, true]);
});

test("a server that is away and the page of a proxy are said to be no answer", async () => {
  const away = await failure(() => { throw new TypeError("Failed to fetch"); });
  const proxy = await failure(() => new Response("<h1>502</h1>", { status: 502 }));
  assert.match(away.message, /does not answer/);
  assert.match(proxy.message, /does not answer/);
});
