// Faces to click on.
import { create } from "../shared/dom.js";
import { describeRecipe } from "../shared/recipes.js";

/** Creates a tile for a face that was drawn. */
export function createTile(stage, recipe, act, label = describeRecipe(recipe)) {
  const canvas = create("canvas");
  stage.pictures.paint(canvas, recipe);
  const button = create("button", { type: "button", className: "mug" }, canvas);
  button.setAttribute("aria-label", label);
  button.dataset.recipe = recipe;
  button.addEventListener("click", act);
  return button;
}

/** Shows the faces of an answer as tiles that put them on the stage. where: a selector. */
export async function showTiles(stage, where, answer) {
  const recipes = await stage.pictures.add(answer);
  stage.$(where).replaceChildren(...recipes.map((recipe, index) => {
    const act = () => stage.show({ recipe });
    const button = createTile(stage, recipe, act, `Face ${index + 1}: ${describeRecipe(recipe)}`);
    if (answer.carries && !answer.carries[index]) button.classList.add("not-quite");
    return button;
  }));
}

/** Groups items by their `group`, in the order in which the groups appear. */
export function groupItems(items) {
  const groups = new Map();
  for (const item of items) groups.set(item.group, [...(groups.get(item.group) || []), item]);
  return groups;
}
