// The tray as a strip of faces, and what can be done with all of them.
import { trayToFile } from "../core/tray-store.js";
import { download, finder, formatNumber, onChosenFile } from "../shared/dom.js";
import { createLongWork } from "../shared/long-work.js";
import { openTab } from "../shared/page-tabs.js";
import { describeRecipe, parseRecipe } from "../shared/recipes.js";
import { connectArrows, createTile, keepFocus } from "../shared/tiles.js";

const OTHER_MODELS = "The faces in the tray were drawn by other models. Load one of those first.";
const TOO_FEW = "This needs two faces of one model. Keep another one.";
const OTHERS = "This needs two faces of one model. Load the one that drew more of these first.";

/** Saves the faces of the tray as a ZIP, with progress. */
function createZip(core, $) {
  const work = createLongWork(core.request, (on) => {
    $(".working").hidden = !on;
    $(".zip-bar").value = 0;
  });

  return {
    zip: (button) => core.attempt(async () => {
      const here = core.tray.recipes().filter(core.isOfModel);
      if (!here.length) return core.complain(OTHER_MODELS, core.tray.recipes()[0]);
      core.say("Preparing the ZIP…");
      const begin = () => core.ask("zip_file", here, Number(button.dataset.size));
      const file = await work.run(begin, ({ progress }) => { $(".zip-bar").value = progress; });
      if (!file) return undefined;
      download(file);
      return core.say(`Saved ${file.name}.`);
    }),
    "stop-zip": () => {
      work.stop();
      core.say("Stopped.");
    },
  };
}

/** Shows the faces of the tray; returns the recipe of the one that is moved or removed, as a function. */
function createShelf(core, element) {
  const $ = finder(element);
  const { tray, own } = core;
  let marked = "";

  function mark(recipe) {
    marked = recipe;
    show(tray.recipes());
    return core.open({ recipe });
  }

  function place(recipe, index) {
    const tile = createTile(core, recipe, () => mark(recipe), `Kept face ${index + 1}: ${describeRecipe(recipe)}`);
    tile.setAttribute("aria-pressed", String(recipe === marked));
    return tile;
  }

  function show(recipes) {
    if (!recipes.includes(marked)) marked = "";
    $(".when-kept").hidden = !recipes.length;
    $(".count").textContent = recipes.length ? `${formatNumber(recipes.length)} of ${core.model.most}` : "";
    $(".tray-hint").textContent = recipes.length ? "" : "Keep faces with ♥. They wait here, in this browser only.";
    keepFocus($(".favourites"), () => $(".favourites").replaceChildren(...recipes.map(place)));
    element.querySelectorAll(".when-marked").forEach((button) => { button.disabled = !marked; });
    element.querySelectorAll(".when-some").forEach((button) => { button.disabled = !recipes.length; });
    $('[data-do="export"]').disabled = !recipes.length && !own.all().length;
    for (const action of ["mix", "film"]) {
      for (const button of element.querySelectorAll(`[data-do="${action}"]`)) button.disabled = recipes.length < 2;
    }
  }

  core.onModel(() => show(tray.recipes()));
  core.onFace(({ recipe }) => {
    if (!marked || recipe === marked) return;
    marked = ""; // it is no longer the face on view
    show(tray.recipes());
  });
  tray.onTray((recipes) => { if (core.model) show(recipes); });
  own.onChange(() => show(tray.recipes()));
  return () => marked;
}

/** The first of recipes whose model drew another one of them, too. */
export function firstOfTwo(recipes) {
  const revisions = recipes.map((recipe) => parseRecipe(recipe).revision);
  return recipes.find((_, index) => revisions.indexOf(revisions[index], index + 1) >= 0);
}

/** Shows the tray and connects it; returns its actions. */
export function connectTray(core, element) {
  const $ = finder(element);
  const { tray, own } = core;
  const marked = createShelf(core, element);

  /** Calls act() where the model in use has drawn two faces of the tray; offers to load another model otherwise. */
  const withTwo = (act) => () => {
    if (tray.drawable().length >= 2) return act();
    const strangers = tray.recipes().filter((recipe) => !core.isOfModel(recipe));
    const pair = firstOfTwo(strangers);
    return pair ? core.complain(OTHERS, pair) : core.complain(TOO_FEW);
  };

  const move = (by) => {
    const at = tray.recipes().indexOf(marked());
    return tray.move(at, at + by);
  };

  connectArrows($(".favourites"));
  onChosenFile($(".tray-file"), (file) => core.attempt(() => tray.openFile(file)));
  $(".favourites").addEventListener("keydown", (event) => {
    const recipe = event.target.closest(".mug")?.dataset.recipe;
    if (event.key === "Delete" && recipe) tray.remove(recipe);
  });
  return {
    ...createZip(core, $),
    left: () => move(-1),
    right: () => move(1),
    remove: () => tray.remove(marked()),
    film: withTwo(() => {
      core.slots.fill(tray.drawable());
      openTab("Interpolate");
    }),
    mix: withTwo(() => core.openTool("mix")),
    "tray-link": () => core.sharing.copyTrayLink(tray.recipes()),
    export: () => download({
      name: "ganime-tray.json", data: btoa(trayToFile(tray.recipes(), own.all())), type: "application/json",
    }),
    import: () => $(".tray-file").click(),
  };
}
