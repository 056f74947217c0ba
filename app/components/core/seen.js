// The faces that were on view since the page was opened.
const STAYED = 1000; // ms that the large face stays until it counts: not those that a slider passes

/** Creates a list of faces that drops the oldest of more than `most`. */
export function createSeen(most = 400) {
  const faces = new Set(); // the latest last

  return {
    /** Adds faces that are on view; the first of them is the latest. */
    add(recipes) {
      for (const recipe of [...recipes].reverse()) {
        faces.delete(recipe);
        faces.add(recipe);
      }
      for (const recipe of [...faces].slice(0, Math.max(0, faces.size - most))) faces.delete(recipe);
    },
    /** All faces, the latest first. */
    recipes: () => [...faces].reverse(),
  };
}

/** Has the current face added whenever it stays on view. */
export function noteCurrent(core) {
  let timer = 0;
  core.onFace(({ recipe }) => {
    clearTimeout(timer);
    timer = setTimeout(() => core.seen.add([recipe]), STAYED);
  });
}
