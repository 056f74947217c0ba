// Vary: variations of the face on the stage.
import { randomSeed } from "../shared/recipes.js";
import { showTiles } from "./tiles.js";

/** Creates the tool; returns its actions. */
export function createVary(stage, tools) {
  const { $, ask, attempt } = stage;
  let seed = 0; // of the variations
  let latest = 0;

  function update() {
    const ticket = ++latest;
    return attempt(async () => {
      const answer = await ask("vary", stage.current().recipe, Number($(".strength").value), seed);
      if (ticket === latest) await showTiles(stage, ".variations", answer);
    });
  }

  tools.add("vary", { open: update });
  stage.onPaint(() => tools.isOpen("vary") && update());
  $(".strength").addEventListener("input", () => { $(".strength-is").textContent = $(".strength").value; });
  $(".strength").addEventListener("change", update);
  return {
    others() {
      seed = randomSeed();
      return update();
    },
  };
}
