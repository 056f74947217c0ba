// The tray: the faces that a visitor keeps. Faces of another model wait in it until that model is in use.
import { drawMissing } from "./drawing.js";
import { moved } from "../shared/lists.js";
import { createListeners } from "../shared/listeners.js";
import { TRAY } from "../shared/storage.js";
import { MOST_BYTES, parseTrayFile, readTray, recipesOf, writeTray } from "./tray-store.js";

const UNSTORED = "This browser stores nothing, so the tray is lost when you leave this page. Export it as a file.";

/** Adds faces and sliders from files and links to those of the tray: {recipes, change}. */
export function createTrayImport(core, faces) {
  const { drawing, say, isOfModel } = core;

  function addSliders(directions) {
    const added = core.own.add(directions);
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
    const written = here.length ? await drawing.draw(here) : [];
    return recipes.map((recipe) => (isOfModel(recipe) ? written[here.indexOf(recipe)] : recipe));
  }

  /**
   * Adds faces from a file or a link; returns their recipes. None is added where one for this model cannot be drawn.
   *
   * directions: of a file alone; a link must not leave sliders behind that nobody has asked for.
   */
  async function add(given, what, directions) {
    const { most } = core.model;
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
      if (file.size > MOST_BYTES) {
        throw new Error(`The file of a tray has at most ${MOST_BYTES.toLocaleString("en")} bytes.`);
      }
      const given = parseTrayFile(await file.text());
      return add(given, "This file", given?.directions);
    },
  };
}

/** Calls act() when another tab of the browser has changed the tray. */
function onOtherTab(core, act) {
  window.addEventListener("storage", (event) => {
    if (event.key !== TRAY || !core.model) return;
    core.forget("tray"); // undo would take back what the other tab has done
    act();
  });
}

/** Creates the tray. */
export function createTray(core) {
  const { pictures, say, complain } = core;
  const listeners = createListeners();
  let tray = [];

  async function draw() {
    await drawMissing(core, tray);
    listeners.tell(tray);
  }

  function put(recipes) {
    tray = recipes;
    if (!writeTray(tray)) complain(UNSTORED);
    return draw();
  }

  function change(recipes) {
    core.record("tray", tray, recipes);
    return put(recipes);
  }

  const remove = (recipe) => change(tray.filter((other) => other !== recipe));

  pictures.hold(() => tray);
  core.addPart("tray", { words: "Tray restored.", put });
  function load() {
    tray = readTray(core.model.most);
    return draw();
  }

  core.onModel(load);
  onOtherTab(core, load);
  const faces = {
    recipes: () => tray,
    has: (recipe) => tray.includes(recipe),
    /** The faces that the model in use has drawn. */
    drawable: () => tray.filter((recipe) => pictures.has(recipe) && core.isOfModel(recipe)),
    /** Called with the recipes, now and whenever the tray was drawn again. */
    onTray(listener) {
      listeners.on(listener);
      listener(tray);
    },
    change,
    remove,
    keep(recipe) {
      const { most } = core.model;
      if (tray.length >= most) return say(`The tray is full: it holds ${most} faces. Remove some first.`);
      say("Kept.");
      return change([...tray, recipe]);
    },
    /** Keeps several faces, as many as there is room for. */
    keepAll(recipes) {
      const fresh = recipes.filter((recipe) => !tray.includes(recipe));
      const added = fresh.slice(0, core.model.most - tray.length);
      const full = added.length < fresh.length ? ` of ${fresh.length}; the tray holds ${core.model.most} faces` : "";
      say(`Kept ${added.length}${full}.`);
      return change([...tray, ...added]);
    },
    /** Keeps a face, or removes it where it is kept. */
    toggle: (recipe) => (tray.includes(recipe) ? remove(recipe) : faces.keep(recipe)),
    /** Moves the face at one place to another. */
    move(from, to) {
      if (to < 0 || to >= tray.length || from === to) return undefined;
      return change(moved(tray, from, to));
    },
  };
  return { ...faces, ...createTrayImport(core, faces) };
}
