// Locks: what stays while other faces are rolled.
import { create } from "../shared/dom.js";
import { randomSeed, withSettings } from "../shared/recipes.js";

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

  const face = () => withSettings(view.current().recipe, view.settings);

  /** Draws the faces of seeds, with what is locked taken from the current face; returns their recipes. */
  const draw = (seeds) => (
    locked.size ? drawing.rollBeside(face(), seeds, [...locked]) : drawing.draw(seeds.map(view.faceOfSeed)));

  /** The same for so many clear faces of seeds from one on. */
  const fresh = (count, seed) => (
    locked.size ? drawing.freshBeside(face(), count, seed, [...locked]) : drawing.fresh(count, seed, view.settings));

  view.setDice("Create", () => view.show(async () => ({ recipe: (await fresh(1, randomSeed()))[0] })));
  return {
    draw,
    fresh,
    names: () => [...locked],
    actions: { dice: () => view.dice() },
  };
}
