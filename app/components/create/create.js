// The Create tab: one large face, tools that change it and look into it, its variations, and a gallery.
import { coreReady } from "../core/core.js";
import { openFile } from "../dock/files.js";
import {
  connectButtons, copyText, fillRanges, finder, offerLink, onChosenFile, onLaidOut, onLeft,
} from "../shared/dom.js";
import { connectArrows, markHearts } from "../shared/tiles.js";
import { connectUndo } from "../shared/undo-buttons.js";
import { createCopies } from "./copies.js";
import { createFind } from "./find.js";
import { createGallery } from "./gallery.js";
import { createInside } from "./inside.js";
import { createLocks } from "./locks.js";
import { createLooks, resetSliders } from "./looks.js";
import { createMix } from "./mix.js";
import { createMorph } from "./morph.js";
import { createPad } from "./pad.js";
import { createPictureSearch } from "./picture.js";
import { createSearches } from "./searches.js";
import { createStage } from "./stage.js";
import { createSteer } from "./steer.js";
import { createTools } from "./tools.js";
import { createVariations } from "./variations.js";

/** Copies the recipe of the face on view, or offers it where that fails. */
async function copyRecipe({ $, say, onView }) {
  const recipe = onView();
  const copied = await copyText(recipe);
  say(copied ? "Recipe copied." : "Copy this recipe. The browser does not let the page do it.");
  offerLink($(".address"), copied ? "" : recipe);
}

/** What the buttons below the face do. */
function createFaceActions(view) {
  view.tray.onTray(() => markHearts(view, view.element));
  return {
    ...connectUndo(view),
    keep: () => view.tray.toggle(view.onView()),
    save: (button) => view.sharing.save(view.onView(), Number(button.dataset.size)),
    avatar: (button) => view.sharing.saveAvatar(view.onView(), button.dataset.shape),
    share: () => view.sharing.share(view.onView()),
    "copy-recipe": () => copyRecipe(view),
  };
}

/** Creates all parts of the tab; view: the core with the tab's element. Returns the actions of its buttons. */
function createParts(view) {
  const tools = createTools(view);
  const stage = createStage(view);
  const locks = createLocks(view);
  const steer = createSteer(view);
  const searches = createSearches(view);
  const pictureSearch = createPictureSearch(view, tools, stage, searches);
  const gallery = createGallery(view, locks);
  const copies = createCopies(view, tools);
  const variations = createVariations(view, locks);
  const morph = createMorph(view, stage);
  createLooks(view, gallery);
  createPad(view, steer);
  createInside(view, tools);
  view.onModel(() => {
    searches.stop(); // what is searched for belongs to the other model
    copies.stop();
  });
  onLaidOut(view.element, () => {
    if (!view.current()) return;
    stage.restore(); // what was not on view was not made sharp
    variations.refresh();
  });
  view.attachCreate((kind, value) => (kind === "tool" ? tools.open(value) : pictureSearch.search(value)));
  onLeft(view.$(".address"), () => offerLink(view.$(".address"), ""));
  view.$(".about").addEventListener("toggle", ({ target }) => target.scrollIntoView({ block: "nearest" }));
  onChosenFile(view.$(".chosen-file"), (file) => openFile(view, file));
  return Object.assign(
    { pick: () => view.$(".chosen-file").click(), reset: () => resetSliders(view, gallery, steer) },
    createFaceActions(view),
    ...[locks, variations, morph, steer, pictureSearch, gallery, copies].map(({ actions }) => actions),
    ...[createFind(view, searches, gallery), createMix(view)].map(({ actions }) => actions),
  );
}

/** Starts the tab in its element. */
export async function mount({ element }) {
  const core = await coreReady;
  const view = Object.assign(Object.create(core), { element, $: finder(element) });
  const actions = createParts(view);
  view.onFirstFace(() => connectButtons(element, actions, () => view.complain("")));
  element.addEventListener("input", () => view.complain(""));
  fillRanges(element);
  for (const name of [".variations", ".gallery", ".children"]) connectArrows(view.$(name));
}
