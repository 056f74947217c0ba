// The page's side of the workers.

/** Starts a worker; returns call(action, values, report), which resolves to the answer, and end(). url: of its file. */
export function createWorker(url) {
  const worker = new Worker(url, { type: "module" });
  const waiting = new Map();
  let latest = 0;

  function fail(message) {
    for (const { reject } of waiting.values()) reject(new Error(message));
    waiting.clear();
  }

  worker.addEventListener("message", ({ data: { id, result, error, progress } }) => {
    const call = waiting.get(id);
    if (!call) return;
    if (progress !== undefined) {
      call.report(progress);
      return;
    }
    waiting.delete(id);
    if (error) call.reject(new Error(error));
    else call.resolve(result);
  });
  worker.addEventListener("error", (event) => fail(event.message || "The part of the page that draws did not start."));
  return {
    call: (action, values, report = () => {}) => new Promise((resolve, reject) => {
      latest += 1;
      waiting.set(latest, { resolve, reject, report });
      worker.postMessage({ id: latest, action, values });
    }),
    end() {
      worker.terminate();
      fail("This was stopped.");
    },
  };
}

/** Has a worker draw with a tool; answers as requestFaces in face-requests.js does. artist: a worker that draws. */
export async function drawIn(artist, tool, fields) {
  const { pixels, width, ...answer } = await artist.call("draw", [tool, fields]);
  return { ...answer, picture: await bitmapOf(pixels, width) };
}

/** RGBA pixels as an ImageBitmap. */
export const bitmapOf = (pixels, width) => createImageBitmap(new ImageData(pixels, width));
