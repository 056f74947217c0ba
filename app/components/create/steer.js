// Sliders and swatches that change the current face. They stand for the way from `base` to that face.
import { create, fillRange } from "../shared/dom.js";
import { isSameFace } from "../shared/recipes.js";

const COLOURS = ["Hair colour", "Eye colour"]; // groups, as app/tabs/sliders.py calls them
const FIRST = ["smile", "open_mouth", "blush", "hair_length"]; // shown above the fold
const SWATCH = 2.5; // the amount of a colour that is picked
const UNNAMED = "Without a name"; // the group of those that the network itself gave
const NO_NAMES = "The sliders of this model have no names: each changes several things at once. Drag one to see what "
  + "it does.";

/** Requests a face at a time; of moves that arrive meanwhile the last one counts. */
export function createSteering(view, refresh) {
  const { drawing, attempt, own } = view;
  let running = false;
  let target = null; // {base, amounts, name}: where the sliders stand while the stage is not there yet
  let moved = false; // whether they were moved since the last face was requested

  /** Where the sliders stand, to which the stage may have yet to come: {base, amounts}. */
  const current = () => {
    const { recipe, base, amounts } = view.current();
    return target || (base ? { base, amounts } : { base: recipe, amounts: {} });
  };

  async function steer() {
    if (running || !moved) return undefined;
    running = true;
    let before = null;
    await view.inOrder(() => attempt(async () => {
      before = view.current();
      if (!moved) return; // given up meanwhile
      moved = false;
      const { base, amounts, name } = target;
      const steered = Object.keys(amounts).length > 0;
      const [recipe] = steered ? await drawing.steer(base, amounts, own.vectorsOf(amounts)) : [base];
      if (before !== view.current()) return; // the visitor has gone elsewhere meanwhile
      const sameSlider = before.slider === name && before.base === base; // its moves are one step to undo
      await view.show({ recipe, base, amounts, slider: name }, sameSlider);
    }));
    running = false;
    if (moved && before === view.current()) moved = false; // it could not be shown: the sliders go back
    if (moved) return steer();
    target = null;
    return refresh();
  }

  return {
    current,
    move(name, amount) {
      this.moveAll({ [name]: amount }, name);
    },
    /** Moves several sliders. name: what moves of the same name continue, as one step to undo. */
    moveAll(changes, name) {
      const { base, amounts } = current();
      const all = Object.entries({ ...amounts, ...changes });
      target = { base, amounts: Object.fromEntries(all.filter(([, amount]) => amount)), name };
      moved = true;
      refresh();
      steer();
    },
    /** Gives up moves of another face than the one on the view; that face in another look is none. */
    follow() {
      const { base, recipe } = view.current();
      const now = base || recipe;
      if (!target || target.base === now) return;
      if (isSameFace(target.base, now)) target.base = now;
      else [target, moved] = [null, false];
    },
  };
}

const createLabel = (textContent) => create("span", { className: "label", textContent });

/** Swatches: of each group one colour at most, with a slider for how strong it is. */
function createSwatches(view, steering) {
  const { $ } = view;
  const parts = []; // {items, strength}

  function chosenOf(items) {
    const { amounts } = steering.current();
    return items.find(({ name }) => amounts[name] > 0);
  }

  function choose(items, chosen, amount) {
    const changes = Object.fromEntries(items.map(({ name }) => [name, 0]));
    if (chosen) changes[chosen.name] = amount;
    steering.moveAll(changes, chosen ? chosen.name : items[0].name);
  }

  function createSwatch(items, item) {
    const button = create("button", { type: "button", className: "swatch", title: item.label });
    button.setAttribute("aria-label", item.label);
    button.style.setProperty("--colour", item.colour);
    button.dataset.swatch = item.name;
    button.addEventListener("click", () => choose(items, item, Math.min(SWATCH, item.range[1])));
    return button;
  }

  function createGroup(group, items) {
    const none = create("button", { type: "button", className: "swatch none", title: "As it was" });
    none.setAttribute("aria-label", `${group}: as it was`);
    none.dataset.swatch = "";
    none.addEventListener("click", () => choose(items, null, 0));
    const strength = create("input", { type: "range", min: 0, max: 3, step: 0.1, value: 0 });
    strength.setAttribute("aria-label", `${group}: strength`);
    strength.dataset.origin = "min";
    strength.addEventListener("input", () => {
      const chosen = chosenOf(items);
      if (chosen) steering.move(chosen.name, Math.max(0.1, Number(strength.value)));
    });
    parts.push({ items, strength });
    const row = create("div", { className: "swatch-row" }, none, ...items.map((item) => createSwatch(items, item)));
    const how = create("label", { className: "swatch-strength" }, createLabel("Strength"), strength);
    return create("div", { className: "swatch-group", role: "group", ariaLabel: group }, createLabel(group), row, how);
  }

  return {
    build(steers) {
      parts.length = 0;
      const groups = COLOURS.map((group) => [group, steers.filter((item) => item.group === group)]);
      $(".swatches").replaceChildren(...groups.filter(([, items]) => items.length).map(([group, items]) => (
        createGroup(group, items))));
    },
    set() {
      const { amounts } = steering.current();
      for (const { items, strength } of parts) {
        const chosen = chosenOf(items);
        strength.closest(".swatch-group").querySelectorAll("[data-swatch]").forEach((button) => {
          button.setAttribute("aria-pressed", String(button.dataset.swatch === (chosen?.name || "")));
        });
        strength.disabled = !chosen;
        strength.max = chosen ? chosen.range[1] : 3;
        strength.value = chosen ? amounts[chosen.name] : 0;
        fillRange(strength);
      }
    },
  };
}

/** Sliders with a name at each end. */
function createSliders(view, steering) {
  const { $, element, own } = view;

  function removeButton(name) {
    const button = create("button", { type: "button", textContent: "×", title: "Remove", className: "quiet" });
    button.setAttribute("aria-label", `Remove ${name}`);
    button.addEventListener("click", () => own.remove(name));
    return button;
  }

  function createSlider({ name, label, title = "", low, high, range, own: isOwn }) {
    const [min, max] = range;
    const input = create("input", { type: "range", min, max, step: 0.1, value: 0, ariaLabel: label });
    input.dataset.steer = name;
    input.addEventListener("input", () => steering.move(name, Number(input.value)));
    input.addEventListener("dblclick", () => steering.move(name, 0));
    const middle = isOwn ? create("b", { textContent: label }) : "";
    const ends = create("span", { className: "ends" },
      create("span", { textContent: low }), middle, create("span", { textContent: high }));
    const field = create("label", { className: "slider", title }, ends, input);
    return isOwn ? create("div", { className: "mine" }, field, removeButton(name)) : field;
  }

  return {
    build(steers) {
      const sliders = steers.filter(({ group }) => !COLOURS.includes(group));
      const first = sliders.filter(({ name }) => FIRST.includes(name));
      const named = first.length ? first : sliders.slice(0, 4);
      const others = sliders.filter((item) => !named.includes(item));
      const unnamed = others.filter(({ group }) => group === UNNAMED);
      $(".expressions").replaceChildren(...named.map(createSlider));
      $(".others").replaceChildren(...others.filter((item) => !unnamed.includes(item)).map(createSlider));
      $(".own").hidden = !own.items().length;
      $(".own .sliders").replaceChildren(...own.items().map(createSlider));
      $(".unnamed").hidden = !unnamed.length;
      $(".unnamed .sliders").replaceChildren(...unnamed.map(createSlider));
    },
    /** Moves the sliders to where they stand for the face. */
    set() {
      const { amounts } = steering.current();
      element.querySelectorAll("[data-steer]").forEach((input) => {
        input.value = amounts[input.dataset.steer] || 0;
        fillRange(input);
      });
    },
  };
}

/** Amounts for a surprise: a hair colour, an eye colour, and some of every other named slider. */
export function surpriseOf(steers, random = Math.random) {
  const named = steers.filter(({ group }) => group !== UNNAMED);
  const colours = COLOURS.map((group) => named.filter((item) => item.group === group)).filter(({ length }) => length);
  const chosen = colours.map((items) => items[Math.floor(random() * items.length)].name);
  return Object.fromEntries(named.map(({ name, group, range: [low, high] }) => {
    if (COLOURS.includes(group)) return [name, chosen.includes(name) ? Math.min(SWATCH, high) : 0];
    const amount = FIRST.includes(name) ? low + random() * (high - low) : 0;
    return [name, Math.round(amount * 10) / 10];
  }));
}

/** Creates the tool. */
export function createSteer(view) {
  const { $, ask, complain, own } = view;
  const steering = createSteering(view, () => set());
  const parts = [createSwatches(view, steering), createSliders(view, steering)];

  function set() {
    for (const part of parts) part.set();
  }

  function build() {
    const { steers, note, awaited } = view.model;
    for (const part of parts) part.build(steers);
    const unnamed = steers.length > 0 && steers.every(({ group }) => group === UNNAMED);
    $(".steer-note").textContent = note || awaited || (unnamed ? NO_NAMES : "");
    if (view.current()) set();
  }

  view.onModel(build);
  own.onChange(build);
  view.onFace(() => {
    steering.follow();
    set();
  });
  return {
    move: (name, amount) => steering.move(name, amount),
    amounts: () => steering.current().amounts,
    /** The face before its sliders were moved. */
    base: () => steering.current().base,
    actions: {
      surprise: () => steering.moveAll(surpriseOf(view.model.steers), "surprise"),
      "own-sliders": () => {
        const { amounts } = steering.current();
        if (!Object.keys(amounts).length) return complain("Move at least one slider first.");
        return own.save($(".own-name"), (name) => ask("own_sliders", name, amounts, own.vectorsOf(amounts)));
      },
    },
  };
}
