// The faces that were drawn, by recipe.
import { loadPicture } from "../shared/dom.js";
import { cutTiles } from "../shared/sheets.js";

/** Creates a cache of pictures that evicts the oldest of more than `most`. */
export function createPictures(most = 400) {
  const canvases = new Map(); // the oldest first

  return {
    has: (recipe) => canvases.has(recipe),
    /** Takes in the faces of an answer {sheet, columns, side, recipes}; returns their recipes. */
    async add({ sheet, recipes, ...layout }) {
      const tiles = cutTiles(await loadPicture(sheet), layout, recipes.length);
      recipes.forEach((recipe, index) => {
        canvases.delete(recipe);
        canvases.set(recipe, tiles[index]);
      });
      const surplus = Math.max(0, canvases.size - most);
      for (const recipe of [...canvases.keys()].slice(0, surplus)) canvases.delete(recipe);
      return recipes;
    },
    /** Draws a face on a canvas; side: in pixels, by default the picture's own. */
    paint(canvas, recipe, side = 0) {
      const picture = canvases.get(recipe);
      canvas.width = canvas.height = side || picture?.width || 1;
      if (!picture) return;
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    },
  };
}
