// Locks: what stays while other faces are rolled.
import { create } from "../shared/dom.js";
import { randomSeed, seedsFrom, withSettings } from "../shared/recipes.js";

const WORDS = { hair: "Hair", eyes: "Eyes", expression: "Expression" };

/** Creates the locks. */
export function createLocks(view) {
  const { $, drawing } = view;
  const locked = new Set();

  function createLock(name) {
    const button = create("button", { type: "button", className: "chip", textContent: WORDS[name] });
    button.setAttribute("aria-pressed", String(locked.has(name)));
    button.addEventListener("click", () => {
      if (!locked.delete(name)) locked.add(name);
      button.setAttribute("aria-pressed", String(locked.has(name)));
    });
    return button;
  }

  view.onModel(({ locks }) => {
    for (const name of [...locked]) if (!locks.includes(name)) locked.delete(name);
    $(".locks").hidden = !locks.length;
    $(".locks").replaceChildren($(".locks .label"), ...locks.map(createLock));
  });

  const beside = (seeds) => (
    drawing.rollBeside(withSettings(view.current().recipe, view.settings), seeds, [...locked]));

  /** Draws the faces of seeds, with what is locked taken from the current face; returns their recipes. */
  const draw = (seeds) => (locked.size ? beside(seeds) : drawing.draw(seeds.map(view.faceOfSeed)));

  /** The same for so many clear faces of seeds from one on, of consecutive ones where something is locked. */
  const fresh = (count, seed) => (
    locked.size ? beside(seedsFrom(seed, count)) : drawing.fresh(count, seed, view.settings));

  view.setDice("Create", () => view.show(async () => ({ recipe: (await fresh(1, randomSeed()))[0] })));
  return {
    draw,
    fresh,
    names: () => [...locked],
    actions: { dice: () => view.dice() },
  };
}
