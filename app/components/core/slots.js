// The slots: the faces that a film goes through, in order.
import { createListeners } from "../shared/listeners.js";

/** Creates the slots. */
export function createSlots(core) {
  const listeners = createListeners();
  let slots = [];

  function put(recipes) {
    slots = recipes;
    listeners.tell(slots);
  }

  function change(recipes) {
    core.record("slots", slots, recipes);
    put(recipes);
  }

  core.addPart("slots", { words: "Slots restored.", put });
  return {
    recipes: () => slots,
    /** Called with the recipes, now and whenever they change. */
    onSlots(listener) {
      listeners.on(listener);
      listener(slots);
    },
    /** Sets them without a step that undo takes back. */
    put,
    change,
    add: (recipe) => change([...slots, recipe].slice(0, core.model.most)),
  };
}
