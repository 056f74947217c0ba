// Everything seen on this visit: a dialog of faces that can be opened again and kept.
import { drawMissing } from "../core/drawing.js";
import { finder } from "../shared/dom.js";
import { openTab } from "../shared/page-tabs.js";
import { connectArrows, markHearts, showTiles } from "../shared/tiles.js";

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
      const recipes = core.seen.recipes().filter(core.isOfModel);
      await drawMissing(core, recipes); // whose pictures are no longer here
      showTiles(core, $(".seen-faces"), recipes.filter(core.pictures.has));
      dialog.showModal();
    }),
  };
}
