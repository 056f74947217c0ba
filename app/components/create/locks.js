// Locks: what stays while other faces are rolled.
import { create } from "../shared/dom.js";
import { randomSeed, withSettings } from "../shared/recipes.js";

const WORDS = { hair: "Hair", eyes: "Eyes", expression: "Expression" };

/** Creates the locks. */
export function createLocks(view) {
  const { $, drawing, attempt } = view;
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

  /** Draws the faces of seeds, with what is locked taken from the current face; returns their recipes. */
  function draw(seeds) {
    const names = [...locked];
    return names.length
      ? drawing.rollBeside(withSettings(view.current().recipe, view.settings), seeds, names)
      : drawing.draw(seeds.map(view.faceOfSeed));
  }

  /** Shows the face of a random seed. */
  const dice = () => attempt(async () => {
    const before = view.current();
    const [recipe] = await draw([randomSeed()]);
    return before === view.current() && view.show({ recipe });
  });

  view.setDice("Create", () => (locked.size ? dice() : view.show({ recipe: view.faceOfSeed(randomSeed()) })));
  return {
    draw,
    names: () => [...locked],
    actions: { dice: () => view.dice() },
  };
}
