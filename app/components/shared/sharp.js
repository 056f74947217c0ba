// The sharp picture of the face on view, which replaces the plain one a moment later.
import { isLaidOut } from "./dom.js";
import { reducedMotion } from "./motion.js";

const PAUSE = 500; // ms without another face before one is asked for: it costs the server more than a whole gallery
const MOST = 20; // pictures that are kept
const FADE = 12; // frames of the display in which a sharp picture comes out of the plain one

/**
 * Returns show(recipe), called whenever the face on `canvas` changes; its cancel() keeps what is on the canvas.
 *
 * drawing: see core/drawing.js. One request runs at a time. Where no sharp picture comes, the plain one
 * stays, without a word.
 */
export function createSharpener(canvas, drawing) {
  const pictures = new Map(); // by recipe, the oldest first
  let wanted = null;
  let running = false;

  async function fetchPicture(recipe) {
    pictures.set(recipe, await drawing.sharp(recipe));
    if (pictures.size > MOST) pictures.delete(pictures.keys().next().value);
  }

  function paint(picture) {
    canvas.width = canvas.height = picture.naturalWidth || picture.width;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dataset.sharp = "true";
  }

  function fadeIn(recipe, frames) {
    const picture = pictures.get(recipe);
    if (recipe !== wanted || !picture) return;
    if (frames === 0) {
      paint(picture);
      return;
    }
    const context = canvas.getContext("2d");
    context.globalAlpha = 1 / frames;
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    context.globalAlpha = 1;
    requestAnimationFrame(() => fadeIn(recipe, frames - 1));
  }

  async function update(recipe) {
    if (running || recipe !== wanted || !isLaidOut(canvas)) return undefined;
    running = true;
    await fetchPicture(recipe).catch(() => null);
    running = false;
    if (recipe !== wanted) return wanted ? update(wanted) : undefined;
    return fadeIn(recipe, reducedMotion.matches ? 0 : FADE);
  }

  function show(recipe) {
    wanted = recipe;
    delete canvas.dataset.sharp;
    if (pictures.has(recipe)) paint(pictures.get(recipe));
    else setTimeout(update, PAUSE, recipe);
  }

  function cancel() {
    wanted = null;
    delete canvas.dataset.sharp;
  }

  /** Takes in the sharp picture of a face that is there already. */
  const know = (recipe, picture) => pictures.set(recipe, picture);

  return Object.assign(show, { cancel, know });
}
