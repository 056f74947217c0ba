// Sliders of a visitor's own for the model in use.
import { MOST_KEPT, newDirections, OWN, readDirections, writeDirections } from "./own-store.js";

const UNSTORED = "This browser stores nothing, so your sliders are lost when you leave this page. Export them with the "
  + "tray.";

/** The reason why a name cannot be used for another own slider of the model, "" where it can. */
function objectionTo(name, { steers, mostOwn }, own) {
  const taken = [...steers, ...own].map((item) => item.name);
  if (!name) return "Give it a name first.";
  if (taken.includes(name)) return `There is a slider named ${name} already. Choose another name, or remove it first.`;
  if (own.length < mostOwn) return "";
  return `You have ${mostOwn} sliders for this model, which is the most it can have. Remove some first.`;
}

/** Creates the own sliders. */
export function createOwnSliders(core) {
  const { attempt, say, complain } = core;
  const vectors = new Map(); // by weights and name, also of removed ones, whose faces undo can restore
  const listeners = []; // called when there are other ones
  let own = [];

  const ofModel = () => own.filter(({ revision }) => revision === core.model.revision);

  function put(list) {
    own = list;
    for (const { name, revision, vector } of own) vectors.set(`${revision} ${name}`, vector);
    if (!writeDirections(own)) complain(UNSTORED);
    for (const listener of listeners) listener();
  }

  function change(list) {
    core.record("own", own, list);
    put(list);
  }

  core.addPart("own", { words: "Your sliders restored.", put });
  core.onModel(() => put(readDirections()));
  window.addEventListener("storage", (event) => { // another tab of the browser has changed them
    if (event.key === OWN && core.model) put(readDirections());
  });
  return {
    onChange(listener) { listeners.push(listener); },
    all: () => own,
    /** The own sliders of the model in use, as model_value describes sliders. */
    items: () => ofModel().map(({ name }) => ({
      name, label: name, group: "Your own", low: "Less", high: "More", range: [-3, 3], own: true,
    })),
    /** The vectors of the own ones among the sliders that are used. amounts: by name. */
    vectorsOf(amounts) {
      const used = Object.keys(amounts).map((name) => [name, vectors.get(`${core.model.revision} ${name}`)]);
      return Object.fromEntries(used.filter(([, vector]) => vector));
    },
    remove(name) {
      change(own.filter((entry) => entry.revision !== core.model.revision || entry.name !== name));
      say(`Removed “${name}”. Undo brings it back.`);
    },
    /** Saves the direction that make(name) asks the server for, under the name in a field. */
    save(field, make) {
      const name = field.value.trim();
      const refusal = objectionTo(name, core.model, ofModel());
      if (refusal) return complain(refusal);
      return attempt(async () => {
        const { vector } = await make(name);
        const { model, revision } = core.model;
        change([...own, { name, model, revision, vector }].slice(-MOST_KEPT));
        field.value = "";
        say(`Saved “${name}”. Find it in Sliders, under More sliders: Your own.`);
      });
    },
    /** Adds directions from a file; where a name is taken the own one stays. Returns how many were added. */
    add(list) {
      const added = newDirections(own, list);
      if (added.length) change([...own, ...added].slice(0, MOST_KEPT));
      return added.length;
    },
  };
}
