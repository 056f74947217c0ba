// The slots: the faces that a film goes through, in order, with the film's settings.
import { createListeners } from "../shared/listeners.js";
import { openTab } from "../shared/page-tabs.js";
import { readFilm, SETTINGS, writeFilm } from "./film-text.js";

const KEPT = "ganime-film"; // in the storage of the browser's tab: a film that is too long for the address
const MOST_ADDRESS = 2500; // characters of a film in the address

/** Notes a film in the address, or where it is too long in the storage of the browser's tab. */
function remember(place, film) {
  const text = film.faces.length ? writeFilm(film) : "";
  const short = encodeURIComponent(text).length <= MOST_ADDRESS;
  try {
    if (short) sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, text);
  } catch { /* this browser stores nothing: a reload begins anew */ }
  place.set({ film: short ? text : "kept" });
}

/** The film that the address names, null for none. */
function recall(place, most) {
  const { film = "" } = place.read();
  try {
    return readFilm(film === "kept" ? sessionStorage.getItem(KEPT) : film, most, 1);
  } catch {
    return null;
  }
}

/** Creates the slots. A film is {faces, seconds, loop, easing, side}, see film-text.js. */
export function createSlots(core) {
  const listeners = createListeners();
  let film = { faces: [], ...SETTINGS };

  function put(next) {
    film = next;
    remember(core.place, film);
    listeners.tell(film);
  }

  /** Makes changes as a step that undo takes back. */
  function change(changes) {
    const before = film;
    put({ ...film, ...changes });
    core.record("slots", before, film);
  }

  /** Draws those faces of the model in use that were not drawn yet; returns all, those as the server writes them. */
  async function drawn(recipes) {
    const missing = recipes.filter((recipe) => core.isOfModel(recipe) && !core.pictures.has(recipe));
    const written = missing.length ? await core.drawing.draw(missing) : [];
    return recipes.map((recipe) => written[missing.indexOf(recipe)] ?? recipe);
  }

  core.pictures.hold(() => film.faces);
  core.addPart("slots", { words: "Film restored.", put });
  return {
    film: () => film,
    /** Called with the film, now and whenever it changes. */
    onFilm(listener) {
      listeners.on(listener);
      listener(film);
    },
    /** Sets it without a step that undo takes back. */
    put,
    change,
    drawn,
    /** Goes through these faces from now on. */
    fill: (faces) => change({ faces }),
    /** Adds a face; returns whether there was room for it. */
    add(recipe) {
      const { most } = core.model;
      if (film.faces.length >= most) {
        core.say(`The film is full: it has ${most} faces. Remove some first.`);
        return false;
      }
      change({ faces: [...film.faces, recipe] });
      return true;
    },
    /**
     * Opens a film that came from outside; returns whether the model in use drew all of its faces, and says so if not.
     * Throws an Error where its faces cannot be drawn.
     */
    async open(given) {
      const faces = await drawn(given.faces);
      change({ ...given, faces });
      openTab("Interpolate");
      const [stranger] = faces.filter((recipe) => !core.isOfModel(recipe));
      if (stranger) core.complain("Another model drew faces of this film. They play once it is loaded.", stranger);
      return !stranger;
    },
    /** Takes up the film that the address names. */
    restore() {
      const kept = recall(core.place, core.model.most);
      if (kept) put(kept);
    },
  };
}
