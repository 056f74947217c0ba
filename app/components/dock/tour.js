// The guided first minute: a few steps, each of which waits until it has been done.
import { openTab } from "../shared/page-tabs.js";
import { readStored, writeStored } from "../shared/storage.js";

const NAME = "ganime-tour";
const STEPS = [
  {
    words: "Roll a gallery of faces.", tab: "Create", where: '#create [data-do="roll"]',
  },
  {
    words: "Pick the one that you like best.", tab: "Create", where: "#create .gallery",
  },
  {
    words: "Give it another hair colour, and a smile.", tab: "Create", where: "#create .swatches",
  },
  {
    words: "Keep it with ♥. It then waits in the tray below.", tab: "Create", where: '#create [data-do="keep"]',
  },
  {
    words: "Keep a second face, such as one of its variations.", tab: "Create", where: "#create .variations",
  },
  {
    words: "Turn your faces into a film.", tab: "Create", where: '#dock [data-do="film"]',
  },
  {
    words: "Save the film, or go back and save a face. Have fun!", tab: "Interpolate", where: "#interpolate .save",
  },
];

/** Whether a step is over. kept, slots: how many faces the tray and the film have. */
export function isDone(step, { rolled, picked, steered, kept, slots }) {
  return [rolled, picked, steered, kept > 0, kept > 1, slots > 1, false][step];
}

/** Connects the tour; returns the actions of its buttons. */
export function connectTour(core, $) {
  let step = -1; // no tour
  let state = {};

  function highlight() {
    document.querySelectorAll(".toured").forEach((element) => element.classList.remove("toured"));
    const element = step < 0 ? null : document.querySelector(STEPS[step].where);
    element?.classList.add("toured");
    element?.scrollIntoView({ block: "center", behavior: "smooth" });
  }

  function show() {
    $(".tour").hidden = step < 0;
    if (step >= 0) {
      $(".tour-words").textContent = STEPS[step].words;
      $(".tour-step").textContent = `${step + 1} of ${STEPS.length}`;
      openTab(STEPS[step].tab);
    }
    setTimeout(highlight, 300); // a tab that was opened is laid out by then
  }

  function go(to) {
    step = to < STEPS.length ? to : -1;
    if (step < 0) writeStored(NAME, "done");
    show();
  }

  /** Notes what a visitor has done, and goes on where that was the present step. */
  function note(changes) {
    if (step < 0) return;
    Object.assign(state, changes);
    if (isDone(step, state)) go(step + 1);
  }

  core.onFace(({ base }) => note(base ? { steered: true } : {}));
  core.tray.onTray((recipes) => note({ kept: recipes.length }));
  core.slots.onFilm(({ faces }) => note({ slots: faces.length }));
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.('#create [data-do="roll"]')) note({ rolled: true });
    if (target.closest?.("#create .gallery .mug")) note({ picked: true });
  });
  $('[data-do="tour"]').hidden = readStored(NAME) === "done";
  return {
    tour() {
      state = { kept: core.tray.recipes().length };
      go(0);
    },
    "tour-next": () => go(step + 1),
    "tour-end": () => go(STEPS.length),
  };
}
