// What shows the film: the canvas, with either a frame or the current face on it; the slider and the play button.
import { createSharpener } from "../shared/sharp.js";
import { fillRange } from "../shared/dom.js";
import { paintMix } from "../shared/motion.js";
import { describeRecipe } from "../shared/recipes.js";

const SIDE = 512; // px

/** Creates it. */
export function createScreen({ $, element, pictures, drawing }) {
  const [canvas, slider, button] = [$(".screen"), $(".at"), $('[data-do="play"]')];
  const sharpen = createSharpener(canvas, drawing);

  return {
    slider,
    /** Shows two neighbouring frames mixed: `share` of the second one over the first. */
    showFrames(first, second, share) {
      sharpen.cancel();
      delete canvas.dataset.recipe;
      if (canvas.width !== SIDE) canvas.width = canvas.height = SIDE;
      paintMix(canvas, first.picture, second.picture, share);
    },
    /** Shows a face, sharp a moment later. */
    showFace(recipe) {
      pictures.paint(canvas, recipe, SIDE);
      canvas.dataset.recipe = recipe;
      canvas.setAttribute("aria-label", describeRecipe(recipe));
      sharpen(recipe);
    },
    /** Moves the slider. words: what is there. */
    moveTo(place, words) {
      slider.value = place;
      slider.setAttribute("aria-valuetext", words);
      fillRange(slider);
    },
    /** Makes the slider as long as the film, in frames, with a mark at each face. */
    setLength(frames, legs) {
      slider.max = Math.max(1, frames);
      slider.disabled = button.disabled = !legs;
      $(".marks").hidden = !legs;
      $(".marks").style.setProperty("--legs", Math.max(1, legs));
    },
    setPlaying(playing) {
      button.textContent = playing ? "❚❚" : "▶";
      button.setAttribute("aria-label", playing ? "Pause" : "Play");
      element.dataset.playing = playing;
    },
  };
}
