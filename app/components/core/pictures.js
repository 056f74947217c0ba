// The faces that were drawn, by recipe.
import { loadPicture } from "../shared/dom.js";
import { cutTile, drawTile } from "../shared/sheets.js";

/** Creates a cache of pictures that evicts the oldest of more than `most`. */
export function createPictures(most = 400) {
  const tiles = new Map(); // {sheet, layout, index, isCut} by recipe, the oldest first

  return {
    has: (recipe) => tiles.has(recipe),
    /** The canvas of a face that was drawn, cut out of its sheet when it is first asked for: most are only painted. */
    get(recipe) {
      const tile = tiles.get(recipe);
      if (tile && !tile.isCut) {
        const { sheet, layout, index } = tile;
        const alone = { layout: { ...layout, columns: 1 }, index: 0, isCut: true };
        Object.assign(tile, { sheet: cutTile(sheet, layout, index), ...alone });
      }
      return tile?.sheet;
    },
    /** Takes in the faces of an answer {picture, columns, side, recipes}; returns their recipes. */
    add({ picture, recipes, ...layout }) {
      recipes.forEach((recipe, index) => {
        tiles.delete(recipe);
        tiles.set(recipe, { sheet: picture, layout, index, isCut: false });
      });
      const surplus = Math.max(0, tiles.size - most);
      for (const recipe of [...tiles.keys()].slice(0, surplus)) tiles.delete(recipe);
      return recipes;
    },
    /** Takes in the faces of an answer {sheet, columns, side, recipes}, a sheet by its URL; returns their recipes. */
    async addSheet({ sheet, ...answer }) { return this.add({ ...answer, picture: await loadPicture(sheet) }); },
    /** Draws a face on a canvas; side: in pixels, by default the picture's own. */
    paint(canvas, recipe, side = 0) {
      const tile = tiles.get(recipe);
      canvas.width = canvas.height = side || tile?.layout.side || 1;
      if (tile) drawTile(canvas, tile.sheet, tile.layout, tile.index);
    },
  };
}
