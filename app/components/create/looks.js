// Clarity and boldness: settings of the current face, the gallery, and all new faces.
import { fillRange } from "../shared/dom.js";
import { withSettings } from "../shared/recipes.js";

const SETTLE = 60; // ms without a move, after which the face is requested

/** Creates the two sliders. */
export function createLooks(view, gallery) {
  const { $, settings } = view;
  const [clarity, boldness] = [$(".clarity"), $(".boldness")];
  let timer = 0;
  let running = false;
  let waiting = false;

  function read() {
    Object.assign(settings, { clarity: Number(clarity.value), truncation: Number(boldness.value) });
    return settings;
  }

  async function apply() {
    if (running) {
      waiting = true;
      return;
    }
    running = true;
    const { recipe, base, amounts } = view.current();
    const step = { recipe: withSettings(recipe, read()), slider: "looks" };
    if (base) Object.assign(step, { base: withSettings(base, settings), amounts });
    await view.show(step, view.current().slider === "looks");
    running = false;
    if (!waiting) return;
    waiting = false;
    await apply();
  }

  for (const input of [clarity, boldness]) {
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(apply, SETTLE);
    });
    input.addEventListener("change", gallery.redraw);
  }
  view.onModel((model) => {
    clarity.disabled = !model.clarity;
    clarity.closest("label").title = model.clarity ? "" : "No clarity was fitted to this model.";
  });
  view.onFace(() => {
    if (running && waiting) return; // a slider is in the visitor's hand
    clarity.value = settings.clarity;
    boldness.value = settings.truncation;
    for (const input of [clarity, boldness]) fillRange(input);
  });
}
