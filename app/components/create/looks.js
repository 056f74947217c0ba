// Clarity and boldness: settings of the current face, the gallery, and all new faces.
import { fillRange } from "../shared/dom.js";
import { parseRecipe, withSettings } from "../shared/recipes.js";

const SETTLE = 60; // ms after a move, until which further ones join it

/** What is said of a face whose clarity or boldness differs from `usual`, those of new faces; "" where neither does. */
export function noteOf(face, usual) {
  const parts = [
    face.clarity !== usual.clarity && `clarity ${usual.clarity}`,
    face.truncation !== usual.truncation && `boldness ${usual.truncation}`,
  ].filter(Boolean);
  return parts.length ? `This face is shown as it was found. New faces have ${parts.join(" and ")}.` : "";
}

/** Whether two faces have the same clarity and boldness. */
const isSameLook = (face, other) => (
  (face.clarity || 0) === (other.clarity || 0) && (face.truncation ?? 1) === (other.truncation ?? 1));

/** The looks that a face goes back to: those of new faces; one that was found keeps the clarity in its vector. */
function usualLooks(recipe, model) {
  const { vector, clarity } = parseRecipe(recipe);
  return { clarity: vector && !clarity ? 0 : model.clarity, truncation: 1 };
}

/** Creates the two sliders. */
export function createLooks(view, gallery) {
  const { $, settings } = view;
  const [clarity, boldness] = [$(".clarity"), $(".boldness")];
  let timer = 0;
  let name = ""; // of the slider that was moved last
  let running = false;
  let waiting = false; // whether a slider was moved since the last face was requested
  let behind = false; // whether the gallery has yet to follow

  async function apply() {
    timer = 0;
    if (running) {
      waiting = true;
      return;
    }
    [running, waiting] = [true, true];
    await view.inOrder(change);
    running = false;
    show();
    if (waiting) {
      await apply();
    } else if (behind) {
      behind = false;
      gallery.redraw();
    }
  }

  /** Shows the face with the looks that the sliders stand for. */
  async function change() {
    waiting = false;
    const { recipe, base, amounts } = view.current();
    const [looks, before] = [{ clarity: Number(clarity.value), truncation: Number(boldness.value) }, { ...settings }];
    const moved = name === "clarity" ? "clarity" : "truncation";
    settings[moved] = looks[moved]; // the one that was moved holds for new faces, too
    const step = { recipe: withSettings(recipe, looks), slider: name };
    if (base) Object.assign(step, { base: withSettings(base, looks), amounts });
    const shown = await view.show(step, view.current().slider === name); // its moves are one step to undo
    if (shown === undefined) Object.assign(settings, before); // it could not be drawn: the sliders go back
  }

  for (const input of [clarity, boldness]) {
    input.addEventListener("input", () => {
      name = input.className;
      timer = timer || setTimeout(apply, SETTLE);
    });
    input.addEventListener("change", () => {
      if (timer || running) behind = true;
      else gallery.redraw();
    });
  }
  view.onModel((model) => {
    clarity.disabled = !model.clarity;
    clarity.closest("label").title = model.clarity ? "" : "No clarity was fitted to this model.";
    clarity.dataset.mark = model.clarity;
  });

  function show() {
    if (timer || waiting) return; // a slider is in the visitor's hand
    const { clarity: clear = 0, truncation = 1 } = parseRecipe(view.current().recipe);
    [clarity.value, boldness.value] = [clear, truncation];
    for (const input of [clarity, boldness]) fillRange(input);
    $(".looks-note").textContent = noteOf({ clarity: clear, truncation }, settings);
  }

  view.onFace(show);
}

/** Takes the face to where none of its sliders was moved, and new faces to the looks of the model. */
export async function resetSliders({ show, settings, model }, gallery, steering) {
  const [base, before] = [steering.base(), { ...settings }];
  const looks = usualLooks(base, model);
  const stays = isSameLook(looks, parseRecipe(base));
  if (stays && !Object.keys(steering.amounts()).length) return;
  await show({ recipe: stays ? base : withSettings(base, looks) });
  if (!isSameLook(before, settings)) gallery.redraw();
}
