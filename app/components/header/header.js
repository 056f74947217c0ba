// The header: the name of the page, and the menu of models.
import { coreReady } from "../core/core.js";
import { closeMenu, create, finder, formatNumber, onChosenFile } from "../shared/dom.js";
import { keptJobs } from "../shared/kept-jobs.js";
import { isHubName } from "../shared/recipes.js";
import { NO_ANSWER } from "../shared/requests.js";

/** The entries of the menu: {name, about, isInUse, load}, the models at hand. own: the visitor's jobs with a model. */
export function entriesOf(core, own) {
  const { model } = core;
  const isEmbedded = !model.trained && model.model === model.embedded; // no other but that of a job has its name
  const entries = [
    { name: model.embedded, about: "embedded", isInUse: isEmbedded, load: () => core.use("embedded_model") }];
  for (const { key, name } of own) {
    const isInUse = model.key.startsWith(`job:${key}@`);
    entries.push({ name: name || "Unnamed", about: "trained by you", isInUse, load: () => core.use("job_model", key) });
  }
  for (const known of core.knownModels()) {
    if (known.trained || known.model === model.embedded) continue;
    const isInUse = known.key === model.key;
    entries.push({ name: known.model, about: known.origin, isInUse, load: async () => core.meet(known) });
  }
  for (const { key, model: name, origin: about } of core.earlierModels()) {
    const load = () => (isHubName(name) ? core.use("hub_model", name) : core.use("known_model", key));
    entries.push({ name, about, isInUse: false, load });
  }
  return entries;
}

/** Sends a model as a file to the server; returns its key. Throws an Error in words. */
export async function sendModel(file) {
  const address = new URL(`ganime/model?name=${encodeURIComponent(file.name)}`, document.baseURI);
  const response = await fetch(address, { method: "POST", body: file }).catch(() => null);
  const answer = response && await response.json().catch(() => null);
  if (!answer || answer.error) throw new Error(answer?.error || NO_ANSWER);
  return answer.key;
}

/** Has every menu of the page close at a click elsewhere, and with Escape. */
function connectMenus() {
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll(".menu[open]")) if (!open.contains(event.target)) open.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.closest) closeMenu(event.target);
  });
}

/** Starts the header in its element. */
export async function mount({ element, server }) {
  connectMenus();
  const core = await coreReady;
  const $ = finder(element);
  const menu = $(".models");
  let own = [];

  /** Loads a model. place: of the words where that fails. */
  async function load(act, place = $(".other-error")) {
    for (const error of element.querySelectorAll(".field-error")) error.textContent = "";
    $(".model-bar").hidden = false;
    try {
      await act();
      closeMenu(menu);
      core.say(`Now using the model ${core.model.model}.`);
      if (core.model.note) core.complain(core.model.note);
    } catch (error) {
      place.textContent = error.message;
    } finally {
      $(".model-bar").hidden = true;
    }
  }

  function show() {
    const { model } = core;
    const isHere = core.handover.isHere(model);
    $(".here").hidden = !isHere;
    $(".model-name").textContent = model.model;
    const parameters = `${formatNumber(model.parameters)} parameters`;
    $(".details").textContent = [
      model.model, model.origin, `${model.side} px`, parameters, `weights ${model.revision}`,
      ...(isHere ? ["drawn in your browser"] : [])].join(" · ");
    $(".known").replaceChildren(...entriesOf(core, own).map(({ name, about, isInUse, load: act }) => {
      const words = [create("span", { textContent: name }), create("small", { textContent: about })];
      const button = create("button", { type: "button" }, ...words);
      button.setAttribute("aria-pressed", String(isInUse));
      button.addEventListener("click", () => load(act));
      return button;
    }));
  }

  menu.addEventListener("toggle", async () => {
    if (!menu.open) return;
    const keys = keptJobs.keys();
    const answer = keys.length && server.mine ? await server.mine([keys]).catch(() => null) : { jobs: [] };
    if (!answer?.jobs) return; // no answer: the list stays
    own = answer.jobs.filter((job) => job.has_model);
    show();
  });
  $(".from-hub").addEventListener("submit", (event) => {
    event.preventDefault();
    const [name, error] = [$("#hub-name").value.trim(), $(".from-hub .field-error")];
    if (name) load(() => core.use("hub_model", name), error);
    else error.textContent = "Enter a name such as owner/name.";
  });
  $(".from-file").addEventListener("click", () => $(".model-file").click());
  onChosenFile($(".model-file"), (file) => load(async () => core.use("known_model", await sendModel(file))));
  core.onModel(show);
  core.handover.onChange(show);
}
