// The tray. Faces of another model wait in it until that model is in use.
import { create, download, formatNumber, listenOutside } from "../shared/dom.js";
import { describeRecipe, parseRecipe } from "../shared/recipes.js";
import { saveFile } from "../shared/requests.js";
import { createTile } from "./tiles.js";
import {
  MOST_BYTES, parseTrayFile, readTray, recipesOf, TRAY, trayToFile, trayToLink, writeTray,
} from "./tray-store.js";

const OTHER_MODELS = "The faces in the tray were drawn by other models. Load one of those first.";

/** Shows the faces; `marked` is the place of the one that is moved or removed. */
function createShelf(stage, choose) {
  const { $, ask, pictures, isOfModel } = stage;

  /** Draws faces of the model that were not drawn yet; one that cannot be drawn keeps none of the others away. */
  async function draw(recipes) {
    const add = (some) => ask("draw", some).then(pictures.add).catch(() => []);
    const missing = recipes.filter((recipe) => isOfModel(recipe) && !pictures.has(recipe));
    if (!missing.length || (await add(missing)).length) return;
    for (const recipe of missing) await add([recipe]);
  }

  function place(recipe, index, marked) {
    const label = `Kept face ${index + 1}: ${describeRecipe(recipe)}`;
    const button = createTile(stage, recipe, () => choose(index), label);
    button.setAttribute("aria-pressed", String(index === marked));
    if (pictures.has(recipe)) return button;
    const words = isOfModel(recipe) ? "cannot be drawn" : `of ${parseRecipe(recipe).model}`;
    button.classList.add("elsewhere");
    button.append(create("span", { textContent: words }));
    return button;
  }

  return {
    draw,
    show(recipes, marked) {
      $(".tray-hint").textContent = recipes.length
        ? `${formatNumber(recipes.length)} of ${stage.model.most}. Saved in this browser only. Click a face to open it.`
        : "Nothing is kept yet. Keep the face on the stage with ♥ or the key K.";
      $(".favourites").replaceChildren(...recipes.map((recipe, index) => place(recipe, index, marked)));
      for (const name of ["left", "right", "remove"]) $(`[data-do="${name}"]`).disabled = marked < 0;
      for (const name of ["zip", "tray-link"]) $(`[data-do="${name}"]`).disabled = !recipes.length;
    },
  };
}

/** The faces that are kept, with undo. shown(): called when they were drawn again. */
function createFaces(stage, shown) {
  const { pictures, say, complain } = stage;
  let tray = [];
  let marked = -1; // the place of the face that is moved or removed
  const shelf = createShelf(stage, choose);

  async function draw() {
    await shelf.draw(tray);
    marked = Math.min(marked, tray.length - 1);
    shelf.show(tray, marked);
    shown();
  }

  function put(recipes) {
    tray = recipes;
    if (!writeTray(tray)) {
      complain("This browser stores nothing, so the tray is lost when you leave this page. Export it as a file.");
    }
    return draw();
  }

  function change(recipes) {
    stage.record("tray", tray, recipes);
    return put(recipes);
  }

  function choose(index) {
    marked = index;
    draw();
    return stage.show({ recipe: tray[index] });
  }

  stage.addPart("tray", { words: "Tray restored.", put });
  return {
    recipes: () => tray,
    /** The faces that the model in use has drawn. */
    drawable: () => tray.filter((recipe) => pictures.has(recipe) && stage.isOfModel(recipe)),
    load() { tray = readTray(stage.model.most); },
    draw,
    change,
    remove: () => change(tray.filter((_, index) => index !== marked)),
    keep(recipe) {
      const { most } = stage.model;
      if (tray.includes(recipe)) return say("It is in the tray already.");
      if (tray.length >= most) return say(`The tray is full: it holds ${most} faces. Remove some first.`);
      say("Kept.");
      return change([...tray, recipe]);
    },
    /** Moves the marked face by some places. */
    move(by) {
      const to = marked + by;
      if (marked < 0 || to < 0 || to >= tray.length) return;
      const moved = [...tray];
      [moved[marked], moved[to]] = [moved[to], moved[marked]];
      marked = to;
      change(moved);
    },
  };
}

/** Adds faces and sliders from files and links to the faces of the tray. */
export function createTrayImport(stage, faces, own) {
  const { ask, pictures, say, isOfModel } = stage;

  function addSliders(directions) {
    const added = own.add(directions);
    return added ? `${added} of your own sliders came with it.` : "";
  }

  function addOnlySliders(given, what, directions) {
    const words = given?.ganime === "tray" ? addSliders(directions) : "";
    if (!words) throw new Error(`${what} holds no tray of faces made with Ganime.`);
    say(words);
    return [];
  }

  /** Draws those that the model in use can draw; returns all, those as the server writes them. */
  async function drawn(recipes) {
    const here = recipes.filter(isOfModel);
    const written = here.length ? await pictures.add(await ask("draw", here)) : [];
    return recipes.map((recipe) => (isOfModel(recipe) ? written[here.indexOf(recipe)] : recipe));
  }

  /**
   * Adds faces from a file or a link; returns their recipes. None is added where one for this model cannot be drawn.
   *
   * directions: of a file alone; a link must not leave sliders behind that nobody has asked for.
   */
  async function add(given, what, directions) {
    const { most } = stage.model;
    const recipes = recipesOf(given, what, most);
    if (!recipes.length) return addOnlySliders(given, what, directions);
    const written = await drawn(recipes);
    const tray = faces.recipes();
    const fresh = [...new Set(written)].filter((recipe) => !tray.includes(recipe));
    const added = fresh.slice(0, most - tray.length);
    await faces.change([...tray, ...added]);
    const left = fresh.length - added.length;
    const full = left ? ` The tray is full, so ${left} were left out.` : "";
    say(`${added.length} of ${recipes.length} faces added to the tray.${full} ${addSliders(directions)}`.trim());
    return written;
  }

  return {
    add,
    /** Adds the tray of a file that was chosen or dropped. */
    async openFile(file) {
      if (file.size > MOST_BYTES) throw new Error(`The file of a tray has at most ${formatNumber(MOST_BYTES)} bytes.`);
      const given = parseTrayFile(await file.text());
      return add(given, "This file", given?.directions);
    },
  };
}

/** Creates the tray. own: see own-sliders.js; copyLink: see share.js. */
export function createTray(stage, own, copyLink) {
  const { $, element, ask, attempt, complain } = stage;
  const listeners = []; // called when it was drawn again
  const faces = createFaces(stage, () => {
    showExport();
    for (const listener of listeners) listener();
  });
  const imports = createTrayImport(stage, faces, own);

  function showExport() {
    $('[data-do="export"]').disabled = !faces.recipes().length && !own.all().length;
  }

  own.onChange(showExport);
  listenOutside(element, window, "storage", (event) => { // another tab of the browser has changed it
    if (event.key !== TRAY || !stage.current()) return;
    faces.load();
    stage.forget("tray"); // undo would take back what the other tab has done
    faces.draw();
  });
  $(".tray-file").addEventListener("change", () => {
    const [file] = $(".tray-file").files;
    $(".tray-file").value = "";
    if (file) attempt(() => imports.openFile(file));
  });

  return {
    ...faces,
    ...imports,
    onChange(listener) { listeners.push(listener); },
    actions: {
      keep: () => faces.keep(stage.current().recipe),
      left: () => faces.move(-1),
      right: () => faces.move(1),
      remove: faces.remove,
      zip(button) {
        const here = faces.recipes().filter(stage.isOfModel);
        if (here.length) return saveFile(button, $(".status"), () => ask("tray_file", here));
        return complain(OTHER_MODELS, faces.recipes()[0]);
      },
      export: () => download({
        name: "ganime-tray.json", data: btoa(trayToFile(faces.recipes(), own.all())), type: "application/json",
      }),
      import: () => $(".tray-file").click(),
      "tray-link": () => copyLink("tray", trayToLink(faces.recipes()), faces.recipes()),
    },
  };
}
