// The faces that were drawn, by recipe.
import { loadPicture } from "../shared/dom.js";
import { cutTile, drawTile } from "../shared/sheets.js";

/** Creates a cache of pictures that evicts the oldest of more than `most`, but none that is held. */
export function createPictures(most = 400) {
  const tiles = new Map(); // {sheet, layout, index, isCut} by recipe, the oldest first
  const holders = []; // functions that return recipes

  function evict() {
    const surplus = tiles.size - most;
    if (surplus <= 0) return;
    const held = new Set(holders.flatMap((recipesOf) => recipesOf()));
    for (const recipe of [...tiles.keys()].filter((each) => !held.has(each)).slice(0, surplus)) tiles.delete(recipe);
  }

  return {
    has: (recipe) => tiles.has(recipe),
    /** Holds the pictures of what recipesOf() returns, such as the faces of the tray. */
    hold(recipesOf) { holders.push(recipesOf); },
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
      evict();
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
