// The large face: plain at once, sharp a moment later.
import { isLaidOut } from "../shared/dom.js";
import { paintMix, reducedMotion } from "../shared/motion.js";
import { describeRecipe, parseRecipe } from "../shared/recipes.js";
import { createSharpener } from "../shared/sharp.js";

const SIDE = 512; // px

/** Creates the stage. It shows the current face, or other pictures until the next one. */
export function createStage(view) {
  const { $, pictures } = view;
  const canvas = $(".now");
  const sharpen = createSharpener(canvas, view.drawing);

  function paint({ recipe }) {
    const { model, revision, truncation = 1, clarity = 0 } = parseRecipe(recipe);
    const words = describeRecipe(recipe);
    pictures.paint(canvas, recipe, SIDE);
    canvas.dataset.recipe = recipe;
    canvas.setAttribute("aria-label", `The current face: ${words}`);
    sharpen(recipe);
    $(".made-by").textContent = words;
    $(".recipe").textContent = [
      model, `weights ${revision}`, words.toLowerCase(), `clarity ${clarity}`, `truncation ${truncation}`].join(" · ");
  }

  /** Scrolls to the large face where a face was clicked far below it, as on a phone. */
  function scrollTo() {
    const { bottom } = canvas.getBoundingClientRect();
    if (bottom > 120 || !isLaidOut(canvas) || !document.activeElement?.closest("#create .mug")) return;
    $(".scene").scrollIntoView({ behavior: reducedMotion.matches ? "auto" : "smooth", block: "start" });
  }

  /** Takes over the sharp picture of the first face from the page's HTML, see app/server/first_faces.py. */
  function takeFirst({ recipe }) {
    const picture = document.querySelector("#first-faces img");
    const isFirst = parseRecipe(recipe).seed === view.model.openers[0];
    if (isFirst && picture?.naturalWidth === SIDE) sharpen.know(recipe, picture);
  }

  view.onFace(takeFirst);
  view.onFace(paint);
  view.onFace(scrollTo);
  view.onModel(({ side }) => { $(".own-size").textContent = `${side} px, exact`; });
  view.onBusy((busy) => $(".window").setAttribute("aria-busy", String(busy)));
  return {
    canvas,
    /** Shows a picture, or a mixture of two: `share` of the second one over the first. */
    paintOver(first, second = null, share = 0) {
      sharpen.cancel();
      canvas.width = canvas.height = SIDE;
      paintMix(canvas, first, second, share);
    },
    /** Shows a face that is not the current one yet, sharp a moment later. */
    preview(recipe) {
      pictures.paint(canvas, recipe, SIDE);
      sharpen(recipe);
    },
    /** Shows the current face again. */
    restore: () => paint(view.current()),
  };
}
