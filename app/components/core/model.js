// The model in use, and changing to another one.
import { keptJobs } from "../shared/kept-jobs.js";
import { createListeners } from "../shared/listeners.js";
import { isHubName, parseRecipe } from "../shared/recipes.js";
import { readStored, writeStored } from "../shared/storage.js";

const RECENT = "ganime-models"; // in this browser's storage, the latest last
const MOST_RECENT = 12;
const SECONDS = 3; // from one question to the next about what is being fitted to the model in use

/** The models from the hub and from files that this browser had in use: {key, model, revision, origin}. */
function recentModels() {
  const stored = readStored(RECENT);
  const isWhole = (entry) => ["key", "model", "revision", "origin"].every((name) => typeof entry?.[name] === "string");
  return Array.isArray(stored) ? stored.filter(isWhole).slice(-MOST_RECENT) : [];
}

function keepRecent({ key, model, revision, origin }) {
  const others = recentModels().filter((entry) => entry.revision !== revision);
  writeStored(RECENT, [...others, { key, model, revision, origin }].slice(-MOST_RECENT));
}

/** The models that were in use since the page was opened, and with them those of earlier visits. */
function createMemory() {
  const known = new Map(); // by revision
  return {
    add(value) {
      known.set(value.revision, value);
      if (!value.trained && value.model !== value.embedded) keepRecent(value);
    },
    /** What is known of the model of a revision that was in use since the page was opened. */
    get: (revision) => known.get(revision),
    /** The same of one that was ever in use; undefined for no such model. */
    find: (revision) => known.get(revision) || recentModels().find((entry) => entry.revision === revision),
    /** The models that were in use since the page was opened, the latest last. */
    latest: () => [...known.values()],
    /** The models of earlier visits, the latest last; some may be gone. */
    earlier: () => recentModels().filter(({ revision }) => !known.has(revision)),
  };
}

/** Whether two values say the same about the same model; a clarity and sliders may be fitted to it later. */
const isSame = (value, other) => other?.steers?.length === value.steers?.length
  && ["key", "revision", "awaited", "clarity"].every((name) => value[name] === other?.[name]);

/** Whether anyone may load the model of a face, on a page whose embedded model has this name. */
const isOpen = (face, embedded) => isHubName(face.model) || face.model === embedded;

/** Reads the model in use again a moment later, in case its clarity and its sliders are there. */
async function renew(request, inUse, meet) {
  const model = inUse();
  await new Promise((resolve) => { setTimeout(resolve, SECONDS * 1000); });
  if (inUse() !== model) return;
  const isSeen = globalThis.document?.visibilityState !== "hidden";
  const answer = isSeen ? await request("renewed_model", model.key).catch(() => null) : model;
  if (inUse() === model && answer) meet(answer);
}

/** What can be done on this page, and with the faces of which models. inUse(): the model in use. */
function createAbilities(memory, inUse) {
  const can = (ability) => !inUse().lacks?.includes(ability);

  return {
    /** Whether this page can do something: "models" (load others), "project", "find", "layers", "copies", "sharpen". */
    can,
    /** Whether the model in use drew a face. */
    isOfModel: (recipe) => parseRecipe(recipe)?.revision === inUse().revision,
    /** Whether the model of a face might be loaded: from the hub, from the page, or with the key of a job. */
    canBring(recipe) {
      const face = parseRecipe(recipe);
      if (!face || !inUse() || face.revision === inUse().revision || !can("models")) return false;
      return isOpen(face, inUse().embedded) || Boolean(memory.find(face.revision)) || keptJobs.keys().length > 0;
    },
    /** Whether only the holder of a job's key can load the model of a face. */
    isPrivate(recipe) {
      const face = parseRecipe(recipe);
      return memory.get(face.revision)?.private ?? !isOpen(face, inUse().embedded);
    },
  };
}

/**
 * Creates the access to models. changed(key): tells the server which one is in use.
 *
 * Its `model` is what model_value says of the one in use: {key, model, revision, origin, parameters, note, trained,
 * private, embedded, side, clarity, mostClarity, openers, steers, locks, attributes, most, mostOwn, mostParents, shown,
 * frames, largeFrames, endings, training, awaited}, the last one what is said of sliders that are still being fitted. A
 * page that lacks what only some servers do names it in `lacks`; elements with data-needs are hidden there.
 */
export function createModels({ request, attempt, say, complain }, changed) {
  const listeners = createListeners();
  const memory = createMemory();
  let model = null;
  let deleted = false; // whether the visitor has just deleted a job, and knows that its model is gone

  function meet(value, brought = false) {
    const before = model;
    model = value;
    memory.add(value);
    if (value.awaited) renew(request, () => model, meet);
    if (isSame(value, before)) return;
    if (before && value.key !== before.key) changed(value.key);
    listeners.tell(value, brought);
  }

  const keyOf = (recipe) => memory.find(parseRecipe(recipe).revision)?.key || "";

  return {
    ...createAbilities(memory, () => model),
    get model() { return model; },
    meet,
    /** Called with the model and whether a face has brought it, now where there is one and at each change. */
    onModel(listener) {
      listeners.on(listener);
      if (model) listener(model, false);
    },
    knownModels: memory.latest,
    earlierModels: memory.earlier,
    /** Calls a server function about the model in use. */
    ask: (name, ...values) => request(name, model.key, ...values),
    /** Changes to another model; name: of a server function that answers with it. Throws what the server refuses. */
    async use(name, ...values) { meet(await request(name, ...values)); },
    /** Goes back to the model that the page starts with, because the one in use is gone; words: said if that fails. */
    async returnToStart(words = "") {
      const [gone, expected] = [model, deleted];
      const start = await request("start_model").catch(() => gone);
      if (gone !== model) return; // for another one, meanwhile
      if (start?.key === gone?.key) {
        if (words) complain(words);
        return;
      }
      meet(start);
      if (expected) say(`Job deleted. The page is back to ${start.model}.`);
      else complain(`That model was deleted with its job, so the page is back to ${start.model}.`);
    },
    /** Goes back to the start where the model in use was deleted with its job. byVisitor: just now, by this one. */
    async recheck(byVisitor = false) {
      if (!model.trained) return;
      deleted = byVisitor;
      await request("known_model", model.key).catch(() => null);
      deleted = false;
    },
    /**
     * Changes to the model that drew a face, then calls act().
     *
     * unavailable(): called where no retry will help.
     */
    bring(recipe, act, unavailable = () => {}) {
      return attempt(async () => {
        const answer = await request("drawing_model", recipe, keyOf(recipe), keptJobs.keys());
        if (answer.final) {
          unavailable();
          return complain(answer.final);
        }
        meet(answer, true);
        return act();
      }, recipe);
    },
  };
}
