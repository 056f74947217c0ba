// The faces that were drawn, by recipe.
import { loadPicture } from "../shared/dom.js";
import { cutTiles } from "../shared/sheets.js";

/** Creates a cache of pictures that evicts the oldest of more than `most`. */
export function createPictures(most = 400) {
  const canvases = new Map(); // the oldest first

  return {
    has: (recipe) => canvases.has(recipe),
    /** The canvas of a face that was drawn. */
    get: (recipe) => canvases.get(recipe),
    /** Takes in the faces of an answer {picture, columns, side, recipes}; returns their recipes. */
    add({ picture, recipes, ...layout }) {
      const tiles = cutTiles(picture, layout, recipes.length);
      recipes.forEach((recipe, index) => {
        canvases.delete(recipe);
        canvases.set(recipe, tiles[index]);
      });
      const surplus = Math.max(0, canvases.size - most);
      for (const recipe of [...canvases.keys()].slice(0, surplus)) canvases.delete(recipe);
      return recipes;
    },
    /** Takes in the faces of an answer {sheet, columns, side, recipes}, a sheet by its URL; returns their recipes. */
    async addSheet({ sheet, ...answer }) { return this.add({ ...answer, picture: await loadPicture(sheet) }); },
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
