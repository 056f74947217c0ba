// Variations of the current face, as a strip below it.
import { isLaidOut } from "../shared/dom.js";
import { randomSeed } from "../shared/recipes.js";
import { showTiles } from "../shared/tiles.js";

const SETTLE = 350; // ms without another face, after which they are requested

/** Creates the strip. locks: what variations share with the face. */
export function createVariations(view, locks) {
  const { $, drawing } = view;
  let seed = 0;
  let latest = 0;
  let timer = 0;
  let shown = "";

  async function update() {
    const ticket = ++latest;
    const { recipe } = view.current();
    if (!isLaidOut(view.element)) return;
    const strength = Number($(".strength").value);
    // Where this fails, the next face asks again.
    const recipes = await drawing.vary(recipe, strength, seed, locks.names()).catch(() => null);
    if (!recipes || ticket !== latest) return;
    showTiles(view, $(".variations"), recipes);
    shown = recipe;
    $(".variations").setAttribute("aria-busy", "false");
  }

  function soon() {
    $(".variations").setAttribute("aria-busy", "true"); // they are still those of the face before
    clearTimeout(timer);
    timer = setTimeout(update, shown ? SETTLE : 0);
  }

  view.onFace(soon);
  $(".strength").addEventListener("change", update);
  return {
    /** Requests those of the current face, unless they are there. */
    refresh: () => (shown === view.current().recipe ? undefined : update()),
    actions: {
      others() {
        seed = randomSeed();
        return update();
      },
    },
  };
}
