// The large files of the page, fetched once and then kept by the browser.

const MAGIC = [0x1f, 0x8b]; // of gzip; servers that unpack such files themselves leave none

/** The browser's cache of a name; null for none, and where it keeps nothing: without https, or on a full disk. */
async function cacheOf(name) {
  if (!name) return null;
  try {
    return await globalThis.caches.open(name);
  } catch {
    return null;
  }
}

async function kept(cache, url) {
  const found = await cache?.match(url).catch(() => null);
  return found ? new Uint8Array(await found.arrayBuffer()) : null;
}

async function keep(cache, url, bytes) {
  const response = new Response(bytes, { headers: { "Content-Type": "application/octet-stream" } });
  await cache?.put(url, response).catch(() => null);
}

/** Fetches a file. report(bytes): called with how many more have arrived. */
async function fetched(url, report) {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) throw new Error(`${new URL(url).pathname} could not be loaded. Check the connection and reload.`);
  const reader = response.body.getReader();
  const pieces = [];
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    pieces.push(piece.value);
    report(piece.value.length);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

async function unpacked(bytes) {
  if (MAGIC.some((byte, index) => bytes[index] !== byte)) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Fetches a file, or takes it from what the browser keeps under a name; returns its bytes, unpacked.
 *
 * name: none where the server's headers say how long files are kept. report(bytes): called with how many more are
 * there.
 */
export async function download(name, url, report) {
  const cache = await cacheOf(name);
  const there = await kept(cache, url);
  if (there) report(there.length);
  const bytes = there || await fetched(url, report);
  if (!there) await keep(cache, url, bytes);
  return unpacked(bytes);
}

/** Arrays of numbers from the bytes of a file. index: {name: {type: "f2", "f4" or "f8", start, count}}. */
export function numbersOf(bytes, index, halvesOf) {
  const readers = {
    f2: (part) => halvesOf(part),
    f4: (part) => new Float32Array(part.slice().buffer),
    f8: (part) => new Float64Array(part.slice().buffer),
  };
  const sizes = { f2: 2, f4: 4, f8: 8 };
  return Object.fromEntries(Object.entries(index).map(([name, { type, start, count }]) => (
    [name, readers[type](bytes.subarray(start, start + count * sizes[type]))])));
}
