// Choose: faces with traits that a network recognises.
import { create } from "../shared/dom.js";
import { randomSeed } from "../shared/recipes.js";
import { groupItems, showTiles } from "./tiles.js";

/** Whether a trait is a colour, of which one can be picked at a time in its group. */
const isColour = (name) => /_(hair|eyes)$/.test(name) && !/^(long|short)_/.test(name);

/** Picks a trait, or drops it where it is picked. group: names of the traits in its group. */
export function togglePicked(picked, name, group) {
  const dropped = picked.has(name);
  const others = [...picked].filter((other) => other !== name && !(isColour(name) && group.includes(other)));
  return new Set(dropped ? others : [...others, name]);
}

/** Creates the tool. Its build() makes the traits of another model. */
export function createChoose(stage, searches) {
  const { $, element, ask, attempt, complain } = stage;
  let picked = new Set();

  function toggle(name, group) {
    picked = togglePicked(picked, name, group);
    element.querySelectorAll("[data-chip]").forEach((chip) => {
      chip.setAttribute("aria-pressed", String(picked.has(chip.dataset.chip)));
    });
  }

  function createChip({ name, label }, group) {
    const chip = create("button", { type: "button", textContent: label });
    chip.dataset.chip = name;
    chip.setAttribute("aria-pressed", "false");
    chip.addEventListener("click", () => toggle(name, group));
    return chip;
  }

  function createRow([title, items]) {
    const names = items.map(({ name }) => name);
    const heading = create("h3", { textContent: title });
    const chips = items.map((item) => createChip(item, names));
    return create("div", { className: "row", role: "group", ariaLabel: title }, heading, ...chips);
  }

  function find() {
    if (!picked.size) return complain("Pick at least one trait.");
    return attempt(async () => {
      const begin = () => ask("choose", [...picked], randomSeed());
      const report = ({ text }) => { $(".found-text").textContent = text; };
      const answer = await searches.run("find", "Searching…", begin, report);
      if (!answer) return;
      await showTiles(stage, ".found", answer);
      report(answer);
    });
  }

  return {
    build() {
      picked = new Set();
      $(".chips").replaceChildren(...[...groupItems(stage.model.attributes)].map(createRow));
    },
    actions: { find, "stop-find": searches.stop },
  };
}
