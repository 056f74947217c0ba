import assert from "node:assert/strict";
import test from "node:test";

import { requestFaces, unpackFaces } from "../../app/components/shared/face-requests.js";

function packed(head, picture) {
  const text = new TextEncoder().encode(JSON.stringify(head));
  const bytes = new Uint8Array(4 + text.length + picture.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(text, 4);
  bytes.set(picture, 4 + text.length);
  return bytes.buffer;
}

test("an answer is taken apart into its head and its picture", async () => {
  const faces = unpackFaces(packed({ model: "日本", columns: 2, recipes: ["a", "b"] }, [1, 2, 255]));
  assert.deepEqual([faces.model, faces.columns, faces.recipes], ["日本", 2, ["a", "b"]]);
  assert.equal(faces.picture.type, "image/webp");
  assert.deepEqual([...new Uint8Array(await faces.picture.arrayBuffer())], [1, 2, 255]);
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

test("a request that was given up is told apart from one that failed", async () => {
  const error = await failure(() => { throw new DOMException("given up", "AbortError"); });
  assert.equal(error.name, "AbortError");
});
