// Mix: new faces from those in the tray, and what one has and another lacks given to a third.
import { create } from "../shared/dom.js";
import { randomSeed } from "../shared/recipes.js";
import { createTile, showTiles } from "../shared/tiles.js";

/** Creates the tool; returns its actions. */
export function createMix(view) {
  const { $, ask, attempt, drawing, tray, own } = view;
  let parents = null; // recipes in order, of which those that are still in the tray count; null until some are picked

  /** The picked faces; of two in the tray, both until the visitor picks. */
  function selected() {
    const here = tray.drawable();
    return (parents || (here.length === 2 ? here : [])).filter((recipe) => here.includes(recipe));
  }

  function put(recipes) {
    parents = recipes;
    update();
  }

  function toggle(recipe) {
    const before = selected();
    const after = before.includes(recipe)
      ? before.filter((other) => other !== recipe)
      : [...before, recipe].slice(0, view.model.mostParents);
    view.record("parents", before, after);
    put(after);
  }

  function createParent(recipe, order) {
    const button = createTile(view, recipe, () => toggle(recipe));
    button.setAttribute("aria-pressed", String(order >= 0));
    if (order >= 0) button.append(create("span", { className: "badge", textContent: "ABC"[order] || order + 1 }));
    return button;
  }

  function update() {
    const { mostParents, shown } = view.model;
    const chosen = selected();
    const here = tray.drawable();
    $(".mix-hint").textContent = here.length < 2
      ? "Keep two or more faces in the tray first; then you can mix them here."
      : `Pick the faces to mix, 2 to ${mostParents}. You get ${shown} new faces, each with something of all of them.`;
    $(".parents").replaceChildren(...here.map((recipe) => createParent(recipe, chosen.indexOf(recipe))));
    $('[data-do="breed"]').disabled = chosen.length < 2;
    $('[data-do="sum"]').disabled = chosen.length < 3;
    $('[data-do="own-faces"]').disabled = chosen.length < 2;
  }

  view.addPart("parents", { words: "Faces picked for Mix restored.", put });
  tray.onTray(update);
  return {
    actions: {
      breed: () => attempt(async () => {
        const children = await drawing.breed(selected(), Number($(".mutation").value), randomSeed());
        showTiles(view, $(".children"), children);
      }),
      sum: () => attempt(async () => {
        const [recipe] = await drawing.mix(...selected().slice(0, 3));
        await view.show({ recipe });
      }),
      "own-faces": () => {
        const [a, b] = selected();
        return own.save($(".own-difference"), (name) => ask("own_faces", name, a, b));
      },
    },
  };
}
