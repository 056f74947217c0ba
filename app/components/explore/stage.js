// The stage: the face that all tools begin from and return to, and what undo knows of it.
import { describeRecipe, parseRecipe, randomSeed, recipeOfSeed } from "../shared/recipes.js";
import { createSharpener } from "../shared/sharp.js";
import { createHistory } from "./history.js";
import { createModelSwitch } from "./model-switch.js";
import { createPictures } from "./pictures.js";

const SIDE = 512; // px of the face

/** Undo and redo over the parts of the tab. stage: {pictures, models, wanted, current}; parts: {put, words} by name. */
function createUndo(view, stage, parts) {
  const { $, attempt, ask, say, isOfModel } = view;
  const { pictures, models, wanted } = stage;
  const history = createHistory();

  function showButtons() {
    $('[data-do="undo"]').disabled = !history.canUndo();
    $('[data-do="redo"]').disabled = !history.canRedo();
  }

  /** Undoes (-1) or redoes (1); a face of another model brings that model back. */
  function go(direction) {
    const change = history.next(direction);
    if (!change) return undefined;
    const value = direction < 0 ? change.before : change.after;
    const ticket = wanted.next();
    const face = change.part === "stage" ? value.recipe : "";

    const step = () => attempt(async () => {
      if (face && !pictures.has(face)) await pictures.add(await ask("draw", [face]));
      if (!wanted.isLatest(ticket) || change !== history.next(direction)) return;
      history.move(direction);
      await parts[change.part].put(value);
      say(parts[change.part].words);
      showButtons();
    }, face);

    const skip = () => { // no model draws its face any more: the next undo goes further back
      history.dropNext(direction);
      showButtons();
    };
    return face && !isOfModel(face) ? models.bring(face, step, skip) : step();
  }

  return {
    go,
    showButtons,
    /** Records a change; what comes before the first face is the beginning. */
    record(part, before, after, extend = false) {
      if (!stage.current()) return;
      history.record(part, before, after, extend);
      showButtons();
    },
    forget(part) {
      history.forget(part);
      showButtons();
    },
  };
}

/** Counts what was asked to be shown, so that an old answer never replaces a newer one. */
function createTickets() {
  let latest = 0;
  return { next: () => ++latest, isLatest: (ticket) => ticket === latest };
}

/** Creates the stage. It has all of the view, and a face: {recipe, base, amounts}, the latter two if it was steered. */
export function createStage(view) {
  const { $, attempt, ask, isOfModel } = view;
  const [pictures, models, wanted] = [createPictures(), createModelSwitch(view), createTickets()];
  const listeners = []; // called when another face is on the stage
  const parts = {};
  let face = null;
  const undo = createUndo(view, { pictures, models, wanted, current: () => face }, parts);
  const sharpen = createSharpener($(".now"), view.server);

  function paint() {
    const { recipe } = face;
    const { model: name, revision, truncation = 1, clarity = 0 } = parseRecipe(recipe);
    const words = describeRecipe(recipe);
    $(".explore").hidden = false;
    pictures.paint($(".now"), recipe, SIDE);
    sharpen(recipe, view.model.key);
    $(".now").dataset.recipe = recipe;
    $(".now").setAttribute("aria-label", words);
    const settings = `clarity ${clarity} · truncation ${truncation}`;
    $(".made-by").textContent = `${words} · ${settings} · ${name} · weights ${revision}`;
    $(".own-size").textContent = `PNG ${view.model.side} px`;
    undo.showButtons();
    for (const listener of listeners) listener();
  }

  function put(step) {
    face = step;
    paint();
  }

  /** Puts a face on the stage; returns whether it is there. extend: it continues the step before, as for undo. */
  function show(step, extend = false) {
    const ticket = wanted.next();
    return attempt(async () => {
      let shown = step;
      if (!pictures.has(step.recipe) || !isOfModel(step.recipe)) {
        const [recipe] = await pictures.add(await ask("draw", [step.recipe]));
        if (!wanted.isLatest(ticket) || !isOfModel(recipe)) return false; // outdated meanwhile
        shown = { ...step, recipe }; // as the server writes it
      }
      undo.record("stage", face, shown, extend);
      put(shown);
      return true;
    }, step.recipe);
  }

  parts.stage = { words: "", put };
  return Object.assign(Object.create(view), {
    pictures,
    models,
    show,
    current: () => face,
    /** Shows the face of a random seed. */
    dice: () => show({ recipe: recipeOfSeed(view.model, randomSeed()) }),
    onPaint(listener) { listeners.push(listener); },
    go: undo.go,
    record: undo.record,
    forget: undo.forget,
    /** Adds a part that undo works on. put(state): restores a state; words: said then. */
    addPart(name, part) { parts[name] = part; },
  });
}
