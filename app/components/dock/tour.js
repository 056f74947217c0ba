// The guided first minute: a few steps, each of which waits until it has been done.
import { isLaidOut, setText } from "../shared/dom.js";
import { scrollTo } from "../shared/motion.js";
import { isTabOpen, openTab } from "../shared/page-tabs.js";
import { readStored, writeStored } from "../shared/storage.js";

const NAME = "ganime-tour";
const STEPS = [
  {
    words: "Roll a gallery of faces.", tab: "Create", where: '#create [data-do="roll"]',
  },
  {
    words: "Click the one that you like best.", tab: "Create", where: "#create .gallery",
  },
  {
    words: "Change it: choose a hair colour, or move a slider.", tab: "Create", tool: "sliders",
    where: '#create [data-panel="sliders"]',
  },
  {
    words: "Keep it with ♥. It then waits in the tray below.", tab: "Create", where: '#create [data-do="keep"]',
  },
  {
    words: "Keep a second face: press ♥ on one of the variations.", tab: "Create", where: "#create .variations",
  },
  {
    words: "Turn both into a film.", tab: "Create", where: '#dock [data-do="film"]',
  },
  {
    words: "This is your film. Save it, or look around. Have fun!", tab: "Interpolate", where: "#interpolate .save",
  },
];

const FILM = 5; // the step that needs two kept faces
const LAST = STEPS.length - 1;
const NO_FILM = { ...STEPS[LAST], words: "Faces become films here: put two or more into the slots. Have fun!" };
const TOO_FEW = { ...STEPS[4], words: "A film needs two faces: keep some with ♥ first." };
const LOOKS = { pause: 100, most: 50 }; // ms between them; for what a step points at, in a tab that is being opened

/** Whether a step is over. kept: how many faces were kept during the tour. */
export function isDone(step, { rolled, picked, changed, kept, filmed }) {
  return [rolled, picked, changed, kept > 0, kept > 1, filmed, false][step];
}

/** Outlines what a step points at and brings it into view, once it is laid out. */
function createPointer() {
  let timer = 0;

  function point(where, looks = LOOKS.most) {
    clearTimeout(timer);
    document.querySelectorAll(".toured").forEach((element) => element.classList.remove("toured"));
    const element = where && document.querySelector(where);
    if (!element || !isLaidOut(element)) {
      if (where && looks) timer = setTimeout(point, LOOKS.pause, where, looks - 1);
      return;
    }
    element.classList.add("toured");
    if (element.closest("#dock")) return; // always in view
    const block = element.offsetHeight > innerHeight / 2 ? "start" : "center";
    scrollTo(element, block);
  }

  return point;
}

/** Connects the tour; returns the actions of its buttons. */
export function connectTour(core, $) {
  const point = createPointer();
  let step = -1; // no tour
  let state = {};
  let before = []; // the tray at the start

  function present() {
    if (step === FILM && core.tray.drawable().length < 2) return TOO_FEW;
    return step === LAST && !state.filmed ? NO_FILM : STEPS[step];
  }

  function show() {
    const { words = "", where = "" } = present() || {};
    $(".tour").hidden = !words;
    setText($(".tour-words"), words);
    $(".tour-step").textContent = `${step + 1} of ${STEPS.length}`;
    $('[data-do="tour-next"]').textContent = step === LAST ? "Done" : "Next";
    $('[data-do="tour-end"]').hidden = step === LAST;
    point(where);
  }

  function go(to) {
    step = to < STEPS.length ? to : -1;
    if (step < 0) {
      writeStored(NAME, "done");
      $(".first-tour").hidden = true; // the menu and the help begin it again
    }
    const { tab, tool } = STEPS[step] || {};
    if (tool) core.openTool(tool);
    else if (tab && !isTabOpen(tab)) openTab(tab);
    show();
  }

  /** Notes what a visitor has done, and goes on where that was the present step. */
  function note(changes) {
    if (step < 0) return;
    Object.assign(state, changes);
    if (isDone(step, state)) go(step + 1);
  }

  core.onFace(({ base, slider }) => note(base || slider ? { changed: true } : {}));
  core.tray.onTray((recipes) => {
    note({ kept: recipes.filter((recipe) => !before.includes(recipe)).length });
    if (step === FILM) show();
  });
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.('#create [data-do="roll"]')) note({ rolled: true });
    if (target.closest?.("#create .gallery .mug")) note({ picked: true });
    const isFilm = target.closest?.('#dock [data-do="film"]') && core.tray.drawable().length >= 2;
    if (isFilm) note({ filmed: true });
  });
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && step >= 0 && !document.querySelector("dialog[open], details.menu[open]")) go(STEPS.length);
  });
  $(".first-tour").hidden = readStored(NAME) === "done";
  return {
    tour() {
      [state, before] = [{}, core.tray.recipes()];
      go(0);
    },
    "tour-next": () => go(step + 1),
    "tour-end": () => go(STEPS.length),
  };
}
