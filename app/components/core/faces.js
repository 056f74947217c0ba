// The current face, which all tabs share; the settings that faces are drawn with; and what undo knows of both.
import { createListeners } from "../shared/listeners.js";
import { isTabOpen } from "../shared/page-tabs.js";
import { parseRecipe, recipeOfSeed, withSettings } from "../shared/recipes.js";
import { createHistory } from "./history.js";

/** Counts what was asked to be shown, so that an old answer never replaces a newer one. */
function createTickets() {
  let latest = 0;
  return { next: () => ++latest, latest: () => latest, isLatest: (ticket) => ticket === latest };
}

/** Undo and redo over the parts of the page. state: {wanted, current}; parts: {put, words} by name. */
function createUndo(core, state, parts) {
  const { attempt, drawing, say, isOfModel, bring, pictures } = core;
  const { wanted } = state;
  const [history, changed] = [createHistory(), createListeners()];
  const standing = () => ({ undo: history.canUndo(), redo: history.canRedo() });
  const tell = () => changed.tell(standing());

  /** Undoes (-1) or redoes (1); a face of another model brings that model back. */
  function go(direction) {
    const change = history.next(direction);
    if (!change) return undefined;
    const value = direction < 0 ? change.before : change.after;
    const ticket = wanted.next();
    const face = change.part === "face" ? value.recipe : "";

    const step = () => attempt(async () => {
      if (face && !pictures.has(face)) await drawing.draw([face]);
      const isStranded = face && !isOfModel(state.current().recipe); // the model of this change is in use already
      if (!(wanted.isLatest(ticket) || isStranded) || change !== history.next(direction)) return;
      history.move(direction);
      await parts[change.part].put(value);
      say(parts[change.part].words);
      tell();
    }, face);

    const skip = () => { // no model draws its face any more: the next undo goes further back
      history.dropNext(direction);
      tell();
    };
    return face && !isOfModel(face) ? bring(face, step, skip) : step();
  }

  return {
    go,
    /** Called with {undo, redo}, now and whenever they change: whether there is anything to undo and to redo. */
    onHistory(listener) {
      changed.on(listener);
      listener(standing());
    },
    /** Records a change; what comes before the first face is the beginning. */
    record(part, before, after, extend = false) {
      if (!state.current()) return;
      history.record(part, before, after, extend);
      tell();
    },
    /** Drops all changes of a part. */
    forget(part) {
      history.forget(part);
      tell();
    },
  };
}

/** What rolls another face. */
function createDices() {
  const dices = {}; // by tab
  return {
    /** Rolls another face, as the tab that is open does. */
    dice: () => (dices[Object.keys(dices).find(isTabOpen)] || dices.Create)(),
    /** Has faces rolled by act() while a tab is open. */
    setDice(tab, act) { dices[tab] = act; },
  };
}

/** The face on view, which in motion is not the current one. */
function createStandIn(current) {
  let other = "";
  return {
    /** Says that another face is on view in place of the current one, until the next one is shown. */
    standIn(recipe) { other = recipe; },
    /** The recipe of the face on view. */
    onView: () => other || current().recipe,
  };
}

/** Draws a face, given as show() takes it; its recipe is then as the server writes it. */
async function drawStep({ drawing }, step) {
  if (typeof step === "function") return step();
  const [recipe] = await drawing.draw([step.recipe]);
  return { ...step, recipe };
}

/**
 * Creates the current face: {recipe, base, amounts, slider}, the latter three if sliders were moved.
 *
 * Its `settings` are the clarity and the truncation of new faces. They follow the current face, unless its clarity is
 * in its vector, as that of a face that was searched for.
 */
export function createFaces(core) {
  const { attempt, isOfModel, pictures } = core;
  const [wanted, listeners] = [createTickets(), createListeners()];
  const settings = { clarity: 0, truncation: 1 };
  const waiting = []; // for the first face
  let face = null;
  let showing = Promise.resolve(); // until the face that was asked for last is there
  const standIn = createStandIn(() => face);
  let changing = Promise.resolve(); // until the latest of the changes that follow one another is there
  const parts = { face: { words: "", put } };
  const undo = createUndo(core, { wanted, current: () => face }, parts);

  function put(step) {
    face = step;
    standIn.standIn("");
    const { clarity = 0, truncation = 1, vector } = parseRecipe(step.recipe);
    if (!vector || clarity) Object.assign(settings, { clarity, truncation });
    listeners.tell(face);
    for (const act of waiting.splice(0)) act(face);
  }

  const isDrawn = ({ recipe }) => Boolean(recipe) && pictures.has(recipe) && isOfModel(recipe);

  /**
   * Makes a face the current one; returns whether it is. step: the face, or a function that returns a promise of it.
   * extend: it continues the step before, as for undo.
   */
  function show(step, extend = false) {
    const ticket = wanted.next();
    showing = attempt(async () => {
      const shown = isDrawn(step) ? step : await drawStep(core, step);
      if (!wanted.isLatest(ticket) || !isOfModel(shown.recipe)) return false; // outdated meanwhile
      undo.record("face", face, shown, extend);
      put(shown);
      return true;
    }, step.recipe);
    return showing;
  }

  /** The recipe of a seed with the present settings. */
  const faceOfSeed = (seed) => withSettings(recipeOfSeed(core.model, seed), settings);

  core.onModel(({ clarity }) => Object.assign(settings, { clarity, truncation: 1 }));
  return {
    ...undo,
    ...standIn,
    ...createDices(),
    settings,
    faceOfSeed,
    show,
    /** Does the same with a face that any model may have drawn, which is loaded first. step: the face. */
    open: (step) => (isOfModel(step.recipe) ? show(step) : core.bring(step.recipe, () => show(step))),
    /** A promise of the face that was asked for last. */
    shown: () => showing,
    /** How many faces were asked for; it counts a face before it is there. */
    asked: wanted.latest,
    current: () => face,
    /** Runs work(), which changes the current face, once all such work before it is done. */
    inOrder(work) {
      changing = changing.then(work, work);
      return changing;
    },
    /** Called with the current face, now where there is one and whenever it is another one. */
    onFace(listener) {
      listeners.on(listener);
      if (face) listener(face);
    },
    /** Called once there is a current face. */
    onFirstFace(act) {
      if (face) act(face);
      else waiting.push(act);
    },
    /** Adds a part that undo works on. put(state): restores a state; words: said then. */
    addPart(name, part) { parts[name] = part; },
  };
}
