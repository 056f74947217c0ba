// What all parts of the Explore tab share: the model in use, requests to the server, and messages.
import { finder, setText } from "../shared/dom.js";
import { keptJobs } from "../shared/kept-jobs.js";
import { isHubName, parseRecipe } from "../shared/recipes.js";
import { createRequest } from "../shared/requests.js";

/**
 * Creates the view.
 *
 * Its `model` is the component's last value without an error: {key, model, revision, trained, embedded, side, steers,
 * note, attributes, most, mostOwn, frames, endings, sent, time}, see stage_value.
 */
export function createView(component) {
  const { element, trigger, server } = component;
  const $ = finder(element);
  const request = createRequest(component);
  const knownModels = new Map(); // by revision: the models that were loaded since the page was opened
  let model = null;
  let offered = ""; // the last face that was refused because its model is not loaded
  let latestTask = 0;

  /** Whether the model of a recipe might be loaded: from the hub, from the page, or with the key of a job. */
  const canBeLoaded = ({ model: name, revision }) => (
    isHubName(name) || name === model?.embedded || knownModels.has(revision) || keptJobs.keys().length > 0);

  /** Shows an error. recipe: a face whose model is then offered to be loaded. */
  function complain(words, recipe = "") {
    $(".alert").textContent = words;
    const face = parseRecipe(recipe);
    const name = face && face.revision !== model?.revision && canBeLoaded(face) ? face.model : "";
    $(".offer").hidden = !name;
    $(".offer button").textContent = `Load ${name}`;
    if (name) offered = recipe;
  }

  /** Runs what a visitor has asked for; errors are shown. The stage is marked as busy until the latest task ends. */
  async function attempt(work, recipe = "") {
    const task = ++latestTask;
    $(".window").setAttribute("aria-busy", "true");
    try {
      return await work();
    } catch (error) {
      complain(error.message || "This did not work. Try again.", recipe);
      return undefined;
    } finally {
      if (task === latestTask) $(".window").setAttribute("aria-busy", "false");
    }
  }

  return {
    element,
    $,
    trigger,
    server,
    complain,
    attempt,
    /** Says what was done. */
    say: (words) => setText($(".status"), words),
    request,
    /** Calls a server function about the model in use. */
    ask: (name, ...values) => request(name, model.key, ...values),
    get model() { return model; },
    meet(value) {
      model = value;
      knownModels.set(value.revision, value);
    },
    offered: () => offered,
    /** Whether the model in use drew a face. */
    isOfModel: (recipe) => parseRecipe(recipe)?.revision === model.revision,
    /** The key of the model that drew a face, "" where it has not been loaded since the page was opened. */
    keyOf: (recipe) => knownModels.get(parseRecipe(recipe).revision)?.key || "",
    /** Whether only the holder of a job's key can load the model of a face. */
    isPrivate(recipe) {
      const { model: name, revision } = parseRecipe(recipe);
      return knownModels.get(revision)?.trained ?? !(isHubName(name) || name === model.embedded);
    },
  };
}
