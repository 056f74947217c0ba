// Changing to the model of another face, for the whole page.
import { keptJobs } from "../shared/kept-jobs.js";

const LONGEST = 30000; // ms that the page may take after the server has loaded the model

/** Creates the switch. view: see view.js. */
export function createModelSwitch(view) {
  let pending = null; // {key, act, cancel}: what is to be done once the model of that key is in use

  function waitFor(key, act) {
    return new Promise((resolve, reject) => {
      pending?.cancel();
      const mine = { key, act: () => act().finally(resolve), cancel: resolve };
      pending = mine;
      view.trigger("bring", { key });
      setTimeout(() => {
        if (pending !== mine) return;
        pending = null;
        reject(new Error("The model of this face could not be loaded. Try again."));
      }, LONGEST);
    });
  }

  return {
    /**
     * Changes to the model that drew a face, then calls act().
     *
     * unavailable(): called where no retry will help.
     */
    bring(recipe, act, unavailable = () => {}) {
      return view.attempt(async () => {
        const { key, text } = await view.ask("drawer", recipe, view.keyOf(recipe), keptJobs.keys());
        if (key) return key === view.model.key ? act() : waitFor(key, act);
        unavailable();
        return view.complain(text);
      }, recipe);
    },
    /** Takes what is to be done now that this model is in use; null where nothing is. */
    take(key) {
      if (pending?.key !== key) return null;
      const { act } = pending;
      pending = null;
      return act;
    },
    cancel() {
      pending?.cancel();
      pending = null;
    },
  };
}
