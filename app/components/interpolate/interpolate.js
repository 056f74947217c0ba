// The Interpolate tab: faces in slots, and the film that goes through them.
import { coreReady } from "../core/core.js";
import { actionOf } from "../dock/keys.js";
import { connectButtons, fillRange, fillRanges, finder, setText } from "../shared/dom.js";
import { isTabOpen, onTab, openTab } from "../shared/page-tabs.js";
import { parseRecipe, randomSeed } from "../shared/recipes.js";
import { connectUndo } from "../shared/undo-buttons.js";
import { createOrder } from "./order.js";
import { createPlayer } from "./player.js";
import { createSaving } from "./saving.js";
import { createShelf } from "./shelf.js";
import { createSources } from "./sources.js";

/** Connects the fields of the settings; returns a function that shows a film's. */
function createFields({ $, slots }) {
  const [seconds, loop, easing, side] = [".seconds", ".loop", ".easing", ".side"].map($);
  const say = (value) => { $(".pace-words").textContent = `${Number(value)} s from face to face`; };

  seconds.addEventListener("input", () => say(seconds.value));
  seconds.addEventListener("change", () => slots.change({ seconds: Number(seconds.value) }));
  loop.addEventListener("change", () => slots.change({ loop: loop.checked }));
  easing.addEventListener("change", () => slots.change({ easing: easing.value }));
  side.addEventListener("change", () => slots.change({ side: Number(side.value) }));
  return (film) => {
    [seconds.value, loop.checked, easing.value, side.value] = [film.seconds, film.loop, film.easing, film.side];
    say(film.seconds);
    fillRange(seconds);
  };
}

/** Fills empty slots with the current face and a rolled one, so that there is something to see. */
const begin = ({ slots, attempt, drawing, settings, current }) => attempt(async () => {
  if (slots.film().faces.length) return;
  const { recipe } = current();
  const [other] = await drawing.fresh(1, randomSeed(), settings);
  if (!slots.film().faces.length) slots.put({ ...slots.film(), faces: [recipe, other] });
});

/** The actions of the buttons that keep the face on view, undo and redo; and showKept(), see createParts. */
function createFaceActions(view, player) {
  const { $, tray } = view;

  function showKept() {
    const kept = tray.has(player.onView()) && !player.playing();
    $(".keep").setAttribute("aria-pressed", String(kept));
    $(".keep").textContent = kept ? "♥ Kept" : "♥ Keep";
  }

  view.onFace(showKept);
  tray.onTray(showKept);
  view.onBusy((busy) => $(".window").setAttribute("aria-busy", String(busy)));
  document.addEventListener("keydown", (event) => { // before the key keeps the face on view
    if (actionOf(event) !== "keep" || !isTabOpen("Interpolate")) return;
    player.pause();
    view.standIn(player.onView());
  }, { capture: true });
  return {
    showKept,
    actions: {
      ...connectUndo(view),
      async keep() {
        await player.pause();
        return tray.toggle(player.onView());
      },
      async create() {
        await player.pause();
        if (await view.show({ recipe: player.onView() })) openTab("Create");
      },
    },
  };
}

/** What the film lacks, in words. target: the chosen slot, null for none. */
export function lackOf({ slots, isOfModel }, target) {
  const { faces } = slots.film();
  const strangers = faces.filter((recipe) => !isOfModel(recipe));
  if (!strangers.length) return faces.length < 2 ? "A film needs two or more faces." : "";
  const [are, them] = strangers.length === 1 ? ["is", "it"] : ["are", "them"];
  const lack = strangers.length === faces.length
    ? "None of these faces is of the model in use."
    : `${strangers.length} of these faces ${are} not of the model in use, so the film leaves ${them} out.`;
  return strangers.includes(faces[target]) ? lack : `${lack} Choose one to load its model or to replace it.`;
}

/** Creates the buttons for the target; returns show(target), and their actions. */
function createTarget(view, order) {
  const { $, slots, isOfModel } = view;
  const atTarget = (act) => () => { if (order.target() !== null) act(order.target()); };

  return {
    show(target) {
      const recipe = slots.film().faces[target];
      $(".target-words").textContent = recipe ? `Replace face ${target + 1}:` : "Add a face:";
      $(".when-slot").hidden = !recipe;
      $('[data-do="load"]').hidden = !recipe || isOfModel(recipe);
      if (!recipe) return;
      $('[data-do="earlier"]').disabled = target === 0;
      $('[data-do="later"]').disabled = target === slots.film().faces.length - 1;
      $('[data-do="load"]').textContent = `Load ${parseRecipe(recipe).model}`;
    },
    actions: {
      earlier: atTarget((slot) => order.move(slot, slot - 1)),
      later: atTarget((slot) => order.move(slot, slot + 1)),
      remove: atTarget(order.remove),
      load: atTarget((slot) => view.open({ recipe: slots.film().faces[slot] })),
    },
  };
}

/** Creates all parts of the tab; view: the core with the tab's element. Returns the actions of its buttons. */
function createParts(view) {
  const { $, slots } = view;
  const player = createPlayer(view, (slot) => shelf.pass(slot), () => faceActions.showKept());
  const faceActions = createFaceActions(view, player);
  const order = createOrder(slots, () => showPlaces());
  const placed = (slot) => slot >= 0 && player.approach(slot);
  const shelf = createShelf(view, order, { press, placed });
  const target = createTarget(view, order);
  const sources = createSources(view, order, placed);
  const saving = createSaving(view, player);
  const showFields = createFields(view);

  function press(place) {
    if (place === order.target()) return order.aim(null);
    order.aim(place);
    return player.goTo(place);
  }

  function showPlaces() {
    if (order.target() !== null && order.target() >= slots.film().faces.length) order.aim(null); // comes back here
    else {
      shelf.show();
      target.show(order.target());
      setText($(".slots-hint"), lackOf(view, order.target()));
    }
  }

  function show(film) {
    player.load(film);
    showPlaces();
    showFields(film);
    saving.describe();
  }

  /** Shows the film, and again once what was missing of it is drawn. */
  const refresh = (film) => view.attempt(async () => {
    show(film);
    const faces = await slots.drawn(film.faces);
    if (film !== slots.film()) return;
    if (faces.some((recipe, index) => recipe !== film.faces[index])) slots.put({ ...film, faces });
    else show(film);
  });

  view.onModel(() => refresh(slots.film()));
  slots.onFilm(refresh);
  view.attachFilm(sources.takeFile);
  onTab(async (tab) => {
    if (tab !== "Interpolate") return;
    await new Promise((resolve) => { setTimeout(resolve); }); // until the tab is laid out
    await begin(view);
    player.resume();
  });
  begin(view);
  const actions = [faceActions.actions, target.actions, sources.actions, saving.actions];
  return Object.assign({ play: player.toggle }, ...actions);
}

/** Starts the tab in its element. */
export async function mount({ element }) {
  const core = await coreReady;
  const view = Object.assign(Object.create(core), { element, $: finder(element) });
  view.onFirstFace(() => {
    const actions = createParts(view);
    connectButtons(element, actions, () => view.complain(""));
    view.$(".screen").addEventListener("click", actions.play);
    document.addEventListener("keydown", (event) => {
      if (event.key !== " " || event.target !== document.body || !isTabOpen("Interpolate")) return;
      event.preventDefault();
      actions.play();
    });
  });
  fillRanges(element);
}
