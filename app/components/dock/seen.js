// Everything seen on this visit: a dialog of faces that can be opened again and kept.
import { finder } from "../shared/dom.js";
import { openTab } from "../shared/page-tabs.js";
import { connectArrows, markHearts, showTiles } from "../shared/tiles.js";

const AT_ONCE = 64; // faces that a request may ask for

/** Draws faces whose pictures are no longer here; those that cannot be drawn are left out. Returns the others. */
async function withPictures({ drawing, pictures }, recipes) {
  const missing = recipes.filter((recipe) => !pictures.has(recipe));
  for (let start = 0; start < missing.length; start += AT_ONCE) {
    await drawing.draw(missing.slice(start, start + AT_ONCE)).catch(() => []);
  }
  return recipes.filter(pictures.has);
}

/** Connects the dialog; returns its action. */
export function connectSeen(core, element) {
  const $ = finder(element);
  const dialog = $(".seen");

  connectArrows($(".seen-faces"));
  core.tray.onTray(() => markHearts(core, $(".seen-faces")));
  $(".seen-faces").addEventListener("click", (event) => {
    if (!event.target.closest(".mug")) return;
    dialog.close();
    openTab("Create");
  });
  return {
    seen: () => core.attempt(async () => {
      const recipes = await withPictures(core, core.seen.recipes().filter(core.isOfModel));
      showTiles(core, $(".seen-faces"), recipes);
      dialog.showModal();
    }),
  };
}
