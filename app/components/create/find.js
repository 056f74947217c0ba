// Find faces with traits that a network recognises; they are shown in the gallery.
import { create } from "../shared/dom.js";
import { randomSeed } from "../shared/recipes.js";
import { groupItems } from "../shared/tiles.js";

/** Whether a trait is a colour, of which one can be picked at a time in its group. */
const isColour = (name) => /_(hair|eyes)$/.test(name) && !/^(long|short)_/.test(name);

/** Picks a trait, or drops it where it is picked. group: names of the traits in its group. */
export function togglePicked(picked, name, group) {
  const dropped = picked.has(name);
  const excluded = (other) => isColour(name) && isColour(other) && group.includes(other);
  const others = [...picked].filter((other) => other !== name && !excluded(other));
  return new Set(dropped ? others : [...others, name]);
}

/** Creates the search. */
export function createFind(view, searches, gallery) {
  const { $, element, ask, attempt, pictures } = view;
  let picked = new Set();

  function pick(traits) {
    picked = traits;
    element.querySelectorAll("[data-chip]").forEach((chip) => {
      chip.setAttribute("aria-pressed", String(picked.has(chip.dataset.chip)));
    });
    $('[data-do="find"]').disabled = !picked.size;
    $('[data-do="find"]').textContent = picked.size ? "Find 8 faces" : "Pick something first";
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
      find: () => attempt(async () => {
        const begin = () => ask("choose", [...picked], randomSeed());
        const report = ({ text }) => { $(".found-text").textContent = text; };
        const answer = await searches.run("find", "Searching…", begin, report);
        if (!answer) return;
        gallery.showFound(await pictures.addSheet(answer), answer.carries.map((carries) => !carries));
        report(answer);
      }),
      "stop-find": searches.stop,
    },
  };
}
