// The gallery: 1 to 64 faces in tiles as large as the room allows. A roll shows the clearest of every four seeds; a
// seed that was typed is shown with those that follow it.
import { create } from "../shared/dom.js";
import { createListeners } from "../shared/listeners.js";
import { MAX_SEED, randomSeed, seedsFrom } from "../shared/recipes.js";
import { showTiles } from "../shared/tiles.js";

const SIZES = [1, 4, 16, 64]; // of the grid, see create.css
const FOUND_SIZE = 16; // the same for one face as for all eight, so that none changes its size as others are found
const FIRST = { seed: 3, count: 16 };

/** A whole number between two others, null for a text that is none. */
export function wholeNumber(text, least, most) {
  const number = String(text ?? "").trim() === "" ? NaN : Number(text);
  return Number.isInteger(number) && number >= least && number <= most ? number : null;
}

/** Writes the heading. found: the number of faces that a search has found, null for a roll; ended: the search. */
function showHead({ $ }, found, ended = true) {
  const isRoll = found === null;
  $(".rolls h2").textContent = isRoll ? "Gallery" : `Found: ${found}`;
  $('[data-do="back"]').hidden = isRoll || !ended;
  for (const field of [$(".count"), $(".seed")]) field.closest("label").hidden = !isRoll;
  if (isRoll) $(".found-text").textContent = ""; // it is of faces that have given way
}

/** The roll that an address names: {seed, count, every}, the last one whether all seeds are shown. */
export function readRoll({ seed: text, count, best }) {
  const seed = wholeNumber(text, 0, MAX_SEED);
  return {
    seed: seed ?? FIRST.seed, count: wholeNumber(count, 1, 64) ?? FIRST.count, every: seed !== null && !best,
  };
}

/** What an address says of a roll, nothing of what is as on a first visit. */
export function writeRoll({ seed, count, every }) {
  const named = every || seed !== FIRST.seed;
  return { seed: named ? seed : "", best: named && !every ? 1 : "", count: count === FIRST.count ? "" : count };
}

/** Connects the fields for the number of faces and the seed; roll(changes): rolls with what was typed. */
function connectFields({ $, complain }, current, roll) {
  $(".count").value = String(current().count);
  $(".count").addEventListener("change", () => roll({ count: Number($(".count").value) }));
  $(".seed").addEventListener("change", () => {
    const seed = wholeNumber($(".seed").value, 0, MAX_SEED);
    if (seed !== null) return roll({ seed, every: true });
    $(".seed").value = current().seed;
    return complain(`A seed is a whole number from 0 to ${MAX_SEED.toLocaleString("en")}.`);
  });
}

/** Creates the gallery. */
export function createGallery(view, locks) {
  const { $, attempt, place } = view;
  let current = readRoll(place.read());
  const rolled = createListeners();
  let recipes = [];
  let latest = 0;
  let found = false; // whether it shows faces that were searched for

  /** Shows faces in a grid for `size` of them. toCome: empty tiles after them; dim: those that do not quite match. */
  function show(list, { size = SIZES.find((number) => list.length <= number), toCome = 0, dim = [] } = {}) {
    recipes = list;
    showHead(view, found ? list.length : null, !toCome);
    $(".gallery").dataset.count = size;
    showTiles(view, $(".gallery"), list, dim);
    $(".gallery").append(...Array.from({ length: toCome }, () => create("div", { className: "to-come" })));
  }

  const redraw = () => attempt(async () => {
    if (found) return;
    const ticket = ++latest;
    $(".gallery").setAttribute("aria-busy", "true");
    try {
      const { seed, count, every } = current;
      const drawn = await (every ? locks.draw(seedsFrom(seed, count)) : locks.fresh(count, seed));
      if (ticket === latest) show(drawn);
    } finally {
      if (ticket === latest) $(".gallery").setAttribute("aria-busy", "false");
    }
  });

  function roll(changes = {}) {
    [current, found] = [{ ...current, ...changes }, false];
    rolled.tell();
    $(".seed").value = current.seed;
    place.set(writeRoll(current));
    return redraw();
  }

  connectFields(view, () => current, roll);
  view.onModel(() => view.current() && roll());
  view.onFirstFace(() => roll()); // which comes before all others
  return {
    redraw,
    /** Calls a function at each roll, which takes the place of faces that are being searched for. */
    onRoll: rolled.on,
    /** Shows faces that were searched for; toCome and dim as above. */
    showFound(list, { toCome = 0, dim = [] } = {}) {
      [found, latest] = [true, latest + 1];
      $(".gallery").setAttribute("aria-busy", "false"); // what was rolled meanwhile is not shown
      show(list, { size: FOUND_SIZE, toCome, dim });
    },
    actions: {
      back: () => roll(),
      roll: () => roll({ seed: randomSeed(), every: false }),
      "keep-all": () => view.tray.keepAll(recipes),
    },
  };
}
