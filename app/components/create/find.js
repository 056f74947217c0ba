// Find faces with traits that a network recognises; they are shown in the gallery.
import { create } from "../shared/dom.js";
import { randomSeed } from "../shared/recipes.js";
import { groupItems } from "../shared/tiles.js";

/** What a trait is one value of, which no face has two of: a colour, or the length of the hair; "" for other traits. */
function kindOf(name) {
  if (/^(long|short)_hair$/.test(name)) return "length";
  return /_(hair|eyes)$/.test(name) ? "colour" : "";
}

/** Picks a trait, or drops it where it is picked. group: names of the traits in its group. */
export function togglePicked(picked, name, group) {
  const dropped = picked.has(name);
  const kind = kindOf(name);
  const excluded = (other) => kind && kindOf(other) === kind && group.includes(other);
  const others = [...picked].filter((other) => other !== name && !excluded(other));
  return new Set(dropped ? others : [...others, name]);
}

/** Faces in the order in which they came: those on view that were found still, then the others that were found. */
export const inOrder = (onView, found) => (
  [...onView.filter((recipe) => found.includes(recipe)), ...found.filter((recipe) => !onView.includes(recipe))]);

/** Shows the faces that a search finds in the gallery, as they are found. */
export function createFinding(view, searches, gallery) {
  const { $, ask, attempt, drawing, pictures } = view;
  let run = 0; // number of searches and stops so far
  let shown = []; // the faces that were found so far

  /** Shows the faces found so far, which are drawn first. */
  async function showSome(found, mine) {
    const missing = found.filter((recipe) => !pictures.has(recipe));
    if (mine === run && missing.length) await drawing.draw(missing);
    if (mine !== run) return; // stopped meanwhile
    shown = inOrder(shown, found);
    gallery.showFound(shown, { toCome: view.model.shown - shown.length });
  }

  /** Ends the search; the faces that it has found stay. */
  function end() {
    run += 1;
    if (shown.length) gallery.showFound(shown);
  }

  gallery.onRoll(() => {
    run += 1;
    searches.stop("find");
  });
  return {
    async find(traits) {
      const mine = ++run;
      let drawn = Promise.resolve(); // once the faces that were reported are on view
      shown = [];

      function report({ text, found = [] }) {
        $(".found-text").textContent = text;
        const isNew = found.some((recipe) => !shown.includes(recipe));
        if (isNew) drawn = drawn.then(() => attempt(() => showSome(found, mine)));
      }

      let [answer, recipes] = [null, null];
      try {
        answer = await searches.run("find", "Searching…", () => ask("choose", traits, randomSeed()), report);
        await drawn;
        recipes = answer && await pictures.addSheet(answer);
      } finally {
        if (!recipes && mine === run) end(); // another search has taken its place, or it has failed
      }
      if (!recipes || mine !== run) return;
      shown = inOrder(shown, recipes);
      gallery.showFound(shown, { dim: shown.map((recipe) => !answer.carries[recipes.indexOf(recipe)]) });
      $(".found-text").textContent = answer.text;
    },
    stop() {
      searches.stop();
      end();
      $(".found-text").textContent = shown.length
        ? `Stopped. ${shown.length} of ${view.model.shown} found.` : "Stopped before a face was found.";
    },
  };
}

/** Creates the search. */
export function createFind(view, searches, gallery) {
  const { $, element, attempt } = view;
  const finding = createFinding(view, searches, gallery);
  let picked = new Set();

  function pick(traits) {
    picked = traits;
    element.querySelectorAll("[data-chip]").forEach((chip) => {
      chip.setAttribute("aria-pressed", String(picked.has(chip.dataset.chip)));
    });
    $('[data-do="find"]').disabled = !picked.size;
    $('[data-do="find"]').textContent = picked.size ? `Find ${view.model.shown} faces` : "Pick something first";
  }

  function createChip({ name, label, colour }, group) {
    const chip = create("button", { type: "button", className: "chip" }, create("span", { textContent: label }));
    if (colour) chip.prepend(create("i", { className: "dot", style: `background: ${colour}` }));
    chip.dataset.chip = name;
    chip.setAttribute("aria-pressed", "false");
    chip.addEventListener("click", () => pick(togglePicked(picked, name, group)));
    return chip;
  }

  function createRow([title, items]) {
    const names = items.map(({ name }) => name);
    const heading = create("h3", { textContent: title });
    return create("div", { className: "row", role: "group", ariaLabel: title }, heading,
      ...items.map((item) => createChip(item, names)));
  }

  if (matchMedia("(max-width: 900px)").matches) $(".find").open = false;
  view.onModel(({ attributes }) => {
    $(".chips").replaceChildren(...[...groupItems(attributes)].map(createRow));
    pick(new Set());
  });
  return {
    actions: {
      find: () => attempt(() => finding.find([...picked])),
      "stop-find": finding.stop,
    },
  };
}
