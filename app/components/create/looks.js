// Clarity and boldness: settings of the current face, the gallery, and all new faces.
import { fillRange } from "../shared/dom.js";
import { parseRecipe, withSettings } from "../shared/recipes.js";

const SETTLE = 60; // ms after a move, until which further ones join it

/** Creates the two sliders. */
export function createLooks(view, gallery) {
  const { $, settings } = view;
  const [clarity, boldness] = [$(".clarity"), $(".boldness")];
  let timer = 0;
  let name = ""; // of the slider that was moved last
  let running = false;
  let waiting = false;
  let behind = false; // whether the gallery has yet to follow

  /** What the sliders say; the one that was moved holds for new faces, too. */
  function read() {
    const looks = { clarity: Number(clarity.value), truncation: Number(boldness.value) };
    const moved = name === "clarity" ? "clarity" : "truncation";
    settings[moved] = looks[moved];
    return looks;
  }

  async function apply() {
    timer = 0;
    if (running) {
      waiting = true;
      return;
    }
    running = true;
    const { recipe, base, amounts } = view.current();
    const looks = read();
    const step = { recipe: withSettings(recipe, looks), slider: name };
    if (base) Object.assign(step, { base: withSettings(base, looks), amounts });
    await view.show(step, view.current().slider === name); // its moves are one step to undo
    running = false;
    if (waiting) {
      waiting = false;
      await apply();
    } else if (behind) {
      behind = false;
      gallery.redraw();
    }
  }

  for (const input of [clarity, boldness]) {
    input.addEventListener("input", () => {
      name = input.className;
      timer = timer || setTimeout(() => {
        timer = 0;
        apply();
      }, SETTLE);
    });
    input.addEventListener("change", () => {
      if (timer || running) behind = true;
      else gallery.redraw();
    });
  }
  view.onModel((model) => {
    clarity.disabled = !model.clarity;
    clarity.closest("label").title = model.clarity ? "" : "No clarity was fitted to this model.";
  });
  view.onFace(({ recipe }) => {
    if (timer || (running && waiting)) return; // a slider is in the visitor's hand
    const face = parseRecipe(recipe);
    clarity.value = face.clarity || 0;
    boldness.value = face.truncation ?? 1;
    for (const input of [clarity, boldness]) fillRange(input);
  });
}
