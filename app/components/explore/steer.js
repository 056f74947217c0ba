// Steer: sliders that change the face on the stage. They stand for the way from `base` to that face.
import { create } from "../shared/dom.js";
import { groupItems } from "./tiles.js";

const SETTLE = 40; // ms without a move, after which a slider's face is requested
const UNNAMED = "Unnamed"; // the group, as app/tabs/explore.py calls it
const NO_NAMES = "This model has no named sliders. These patterns were found in the model itself: drag one to see "
  + "what it does.";

/** Requests a face at a time; of moves that arrive meanwhile the last one counts. */
function createSteering(stage, own, refresh) {
  const { ask, attempt, pictures } = stage;
  let running = false;
  let timer = 0;
  let target = null; // {base, amounts, name}: where the sliders stand while the stage is not there yet
  let moved = false; // whether they were moved since the last face was requested

  const current = () => {
    const { recipe, base, amounts } = stage.current();
    return base ? { base, amounts } : { base: recipe, amounts: {} };
  };

  async function steer() {
    if (running || !moved) return undefined;
    const { base, amounts, name } = target;
    [running, moved] = [true, false];
    const before = stage.current();
    const used = Object.fromEntries(Object.entries(amounts).filter(([, amount]) => amount));
    await attempt(async () => {
      const steered = Object.keys(used).length > 0;
      const [recipe] = steered ? await pictures.add(await ask("steer", base, used, own.vectorsOf(used))) : [base];
      if (before !== stage.current()) return; // the visitor has gone elsewhere meanwhile
      const sameSlider = before.slider === name && before.base === base; // its moves are one step to undo
      await stage.show({ recipe, base, amounts: used, slider: name }, sameSlider);
    });
    running = false;
    if (moved && before === stage.current()) moved = false; // it could not be shown: the sliders go back
    if (moved) return steer();
    target = null;
    return refresh();
  }

  return {
    current,
    /** Whether a slider is being moved. */
    isMoving: () => moved,
    move(name, amount) {
      const { base, amounts } = target || current();
      target = { base, amounts: { ...amounts, [name]: amount }, name };
      moved = true;
      clearTimeout(timer);
      timer = setTimeout(steer, SETTLE);
    },
    /** Gives up moves of another face than the one on the stage. */
    follow() {
      const { base, recipe } = stage.current();
      if (target && target.base !== (base || recipe)) [target, moved] = [null, false];
    },
  };
}

/** The sliders themselves. own: see own-sliders.js. */
function createSliders(stage, own, steering) {
  const { $, element } = stage;

  function removeButton(name) {
    const button = create("button", { type: "button", textContent: "×", title: "Remove", className: "remove-own" });
    button.setAttribute("aria-label", `Remove ${name}`);
    button.addEventListener("click", () => own.remove(name));
    return button;
  }

  function createSlider({ name, label, title = "", own: isOwn }) {
    const input = create("input", { type: "range", min: -3, max: 3, step: 0.1, value: 0 });
    const output = create("output", { textContent: "0" });
    input.dataset.steer = name;
    input.addEventListener("input", () => {
      output.textContent = Number(input.value).toFixed(1);
      steering.move(name, Number(input.value));
    });
    const words = create("span", { textContent: label });
    const field = create("label", { className: "steer", title }, words, input, output);
    return isOwn ? create("div", { className: "mine" }, field, removeButton(name)) : field;
  }

  /** The sliders of the model; a visitor's own stand before those without a name. */
  function items() {
    const { steers } = stage.model;
    const unnamed = ({ group }) => group === UNNAMED;
    return [...steers.filter((item) => !unnamed(item)), ...own.items(), ...steers.filter(unnamed)];
  }

  return {
    build() {
      const { steers, note } = stage.model;
      const allUnnamed = steers.length > 0 && steers.every(({ group }) => group === UNNAMED);
      $(".steer-note").textContent = note || (allUnnamed ? NO_NAMES : "Drag a slider to change one trait.");
      $(".sliders").replaceChildren(...[...groupItems(items())].map(([group, sliders]) => {
        const title = create("summary", { textContent: group });
        const grid = create("div", { className: "grid" }, ...sliders.map(createSlider));
        return create("details", { open: group !== UNNAMED || allUnnamed }, title, grid);
      }));
    },
    /** Moves the sliders to where the face on the stage is. */
    set() {
      if (steering.isMoving()) return; // a slider is in the visitor's hand
      const { amounts } = steering.current();
      element.querySelectorAll("[data-steer]").forEach((input) => {
        input.value = amounts[input.dataset.steer] || 0;
        input.nextElementSibling.textContent = Number(input.value) ? Number(input.value).toFixed(1) : "0";
      });
    },
  };
}

/** Creates the tool. Its build() makes the sliders of another model. */
export function createSteer(stage, own) {
  const { $, ask, complain } = stage;
  const steering = createSteering(stage, own, () => sliders.set());
  const sliders = createSliders(stage, own, steering);

  stage.onPaint(() => {
    steering.follow();
    sliders.set();
  });
  own.onChange(() => {
    sliders.build();
    if (stage.current()) sliders.set();
  });
  return {
    build: sliders.build,
    actions: {
      reset() {
        const { base, amounts } = steering.current();
        return Object.keys(amounts).length ? stage.show({ recipe: base }) : sliders.set();
      },
      "own-sliders": () => {
        const { amounts } = steering.current();
        if (!Object.keys(amounts).length) return complain("Move at least one slider first.");
        return own.save($(".own-name"), (name) => ask("own_sliders", name, amounts, own.vectorsOf(amounts)));
      },
    },
  };
}
