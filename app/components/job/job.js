// A visitor's training jobs: a list, and a view of the selected job that is updated every 2 s.
// props.value = {chosen: key, name} for a job just started or continued, or {draft: key, gone: key, reopened} for the
// faces in the form above, those that they replace, and whether they were chosen here, or {error}. All texts are shown
// as text.
import { coreReady } from "../core/core.js";
import { create, finder, isLaidOut, listenOutside, onMessage, setText } from "../shared/dom.js";
import { keptJobs } from "../shared/kept-jobs.js";
import { openTab } from "../shared/page-tabs.js";
import { createRequest } from "../shared/requests.js";
import { createActions, putLinkAway } from "./actions.js";
import { createBar } from "./bar.js";
import { drawChart } from "./charts.js";
import { createOnHub } from "./on-hub.js";
import { createFold } from "./fold.js";
import { createJobList, keepJobs } from "./list.js";
import { createNotifying } from "./notify.js";
import { hasPicture, removePicture, showPicture } from "./pictures.js";
import { createPublishing } from "./publish.js";
import { createSamples } from "./samples.js";
import {
  bringsOf, canBeFinished, canSave, deletionOf, describeState, hasEnded, isActive, nameOf, paceOf, planOf, reasonOf,
  restOf, resumeOf, shareOf, stopOf, triesOf,
} from "./words.js";

const SECONDS = 2;

/** The events of the view. That a model is to be used, or is gone with its job, concerns the whole page. */
function createTrigger(trigger) {
  const acts = {
    use: ({ key }, core) => core.attempt(async () => {
      core.say("Loading the model…");
      await core.use("job_model", key);
      await core.shown(); // a face of it
      openTab("Create");
      core.say([`Now using the model ${core.model.model}.`, core.model.awaited].filter(Boolean).join(" "));
    }),
    gone: ({ deleted = false }, core) => core.recheck(deleted),
  };
  return async (name, data) => (acts[name] ? acts[name](data, await coreReady) : trigger(name, data));
}

/** What the parts of the view share. ask(): the server's answer, null where there is none, which is said. */
function createView(component) {
  const { element, server } = component;
  const $ = finder(element);
  const trigger = createTrigger(component.trigger);
  const say = (words) => setText($(".status"), words);
  const state = { picked: "", job: null }; // the key of the selected job, and its last status
  return {
    ...component,
    $,
    trigger,
    request: createRequest({ server, trigger }),
    picked: () => state.picked,
    job: () => state.job,
    showShare: createBar($(".bar")),
    select(key, job = null) { Object.assign(state, { picked: key, job }); },
    say,
    notifying: createNotifying(say),
    complain: (words) => setText($(".alert"), words),
    async ask(name, ...values) {
      const answer = (await server[name](values).catch(() => null)) || null;
      setText($(".lost"), answer ? "" : "The server does not answer. Trying again in a moment.");
      return answer;
    },
  };
}

function showProgress({ $, showShare }, job) {
  $(".bar").hidden = !isActive(job);
  showShare(shareOf(job));
  setText($(".pace"), paceOf(job));
  setText($(".plan"), planOf(job));
}

function showButtons({ $, notifying, picked }, job) {
  const waiting = job.state === "queued";
  const possible = {
    archive: job.has_model, nearest: job.has_model && hasEnded(job), finish: canBeFinished(job),
    notify: notifying.canAsk(picked(), job),
    save: canSave(job), stop: isActive(job) || waiting, reconsider: job.state === "draft",
  };
  for (const [action, on] of Object.entries(possible)) $(`[data-action="${action}"]`).hidden = !on;
  $('[data-action="stop"]').disabled = job.state === "stopping";
  setText($('[data-action="stop"]'), stopOf(job));
  $(".next").hidden = !job.has_model;
  $('[data-action="use"]').classList.toggle("primary", hasEnded(job));
  setText($(".brings"), hasEnded(job) ? bringsOf(job) : triesOf(job));
  setText($(".confirm p"), deletionOf(job));
}

function showContinuation({ $ }, job) {
  const isNew = Boolean(job.on_hub) || job.minutes_left === null; // none of its minutes are left
  $(".more").hidden = !job.can_resume;
  $(".minutes").value = isNew ? "15" : "";
  $(".minutes").placeholder = String(Math.max(1, Math.round(job.minutes_left || 0)));
  setText($(".rest"), restOf(job));
  setText($(".unit"), job.on_hub ? "minutes on this page" : "more minutes");
  setText($('[data-action="resume"]'), resumeOf(job));
}

function showVerdict({ $ }, { plain }) {
  $(".verdict").hidden = !plain;
  setText($(".verdict h4"), plain?.headline || "");
  setText($(".todo"), plain?.advice || "");
}

function showDetails({ $ }, { plain, notes, losses }) {
  $(".numbers").hidden = !plain && !notes.length && losses.length < 2;
  const rows = plain?.details || [];
  $(".measured").replaceChildren(...rows.flatMap(([name, value]) => [
    create("dt", { textContent: name }), create("dd", { textContent: value }),
  ]));
  setText($(".technical"), plain?.technical || "");
  $(".notes").replaceChildren(...notes.map((textContent) => create("li", { textContent })));
}

function showCharts({ $ }, job) {
  const { losses, measures } = job;
  drawChart($(".measures"), {
    title: "Distance to your faces: lower is better", lines: ["now"], points: measures, start: true,
  });
  for (const [figure, points] of [[$(".losses"), losses], [$(".live"), isActive(job) ? losses : []]]) {
    const title = "Losses: they compete, so neither has to fall";
    drawChart(figure, { title, lines: ["discriminator", "generator"], points, digits: 3 });
  }
}

/** Creates the picture of the faces of a job that has drawn none yet. */
function createSheet({ $, ask, picked }) {
  const image = $(".sheet");
  return {
    async update(job) {
      const waiting = ["draft", "queued", "elsewhere"].includes(job.state);
      const wanted = waiting || (isActive(job) && !job.grids.length);
      image.hidden = !wanted || !hasPicture(image);
      if (!wanted) return;
      const key = picked();
      await showPicture(image, key, () => ask("faces_sheet", key), { hidden: false });
    },
    reset() {
      image.hidden = true;
      removePicture(image);
    },
  };
}

function showJob(view, job) {
  const { $ } = view;
  $(".away").hidden = true;
  $(".job").hidden = false;
  $(".job").dataset.state = job.state;
  setText($(".name"), nameOf(job));
  setText($(".state"), describeState(job));
  setText($(".reason"), reasonOf(job));
  showProgress(view, job);
  showButtons(view, job);
  showVerdict(view, job);
  showCharts(view, job);
  showDetails(view, job);
  view.notifying.update(view.picked(), job);
}

function showAway({ $ }, key) {
  $(".job").hidden = true;
  $(".away").hidden = false;
  setText($(".away h3"), nameOf(keptJobs.find(key) || {}));
}

/** The folds of a job, whose content is requested when they are opened. */
function createFolds({ $, ask, picked }) {
  async function readLog() {
    const key = picked();
    const answer = await ask("log", key);
    if (key !== picked()) return;
    const log = $(".log pre");
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    setText(log, answer?.text || answer?.error || "Nothing has been logged yet.");
    if (atEnd) log.scrollTop = log.scrollHeight; // unless the visitor reads what is above
  }

  async function readCard() {
    const key = picked();
    const answer = await ask("card", key);
    if (key !== picked()) return;
    if (answer?.html) $(".card .text").innerHTML = answer.html; // made safe by the server
    else setText($(".card .text"), answer?.error || "This model has no card.");
  }

  $(".log").addEventListener("toggle", () => $(".log").open && readLog());
  $(".card").addEventListener("toggle", () => $(".card").open && readCard());
  return {
    update: (job) => {
      if ($(".log").open) readLog();
      $(".card").hidden = !job.has_model;
    },
    reset() {
      $(".card").open = $(".log").open = $(".numbers").open = false;
      for (const text of [".log pre", ".card .text"]) setText($(text), "");
    },
  };
}

/** Takes over the value that an event of the form has set. */
function receive(view, jobs, value) {
  view.complain(value.error || "");
  keepKeys(view, value);
  if ("draft" in value) {
    jobs.list.setDraft(value.draft);
    jobs.list.update();
    if (value.reopened) jobs.form.open();
  } else if (value.chosen) jobs.arrive(value.chosen);
}

/** Keeps the key of a job that an event of the form names, and forgets the one that it replaces. */
function keepKeys(view, value) {
  const key = value.chosen || value.draft;
  if (key) {
    const name = value.name || keptJobs.find(key)?.name || (value.draft ? "Uploaded faces" : "");
    keepJobs(view, [{ key, name }, ...keptJobs.list().filter((job) => job.key !== key)]);
  }
  if (value.gone) keptJobs.remove(value.gone);
}

function createJobView(view) {
  const { $, ask } = view;
  const list = createJobList(view, pick);
  const [sheet, samples] = [createSheet(view), createSamples(view)];
  const [folds, form, publishing] = [createFolds(view), createFold(view), createPublishing(view)];
  const [actions, onHub] = [createActions(view, refresh, forget), createOnHub(view, refresh)];
  let [asking, refusal] = [false, ""]; // whether a question is under way, and how the last one was refused
  let arriving = ""; // the key of a job that was started just now and is not shown yet

  /** Takes a job off the list; what comes in its place is seen from its top. */
  function forget(key) {
    keptJobs.remove(key);
    pick("", false);
    list.update().then(form.showTop);
  }

  function pick(key, again = true) {
    view.select(key);
    for (const part of [actions, sheet, samples, folds, publishing, onHub]) part.reset();
    for (const part of [".job", ".away"]) $(part).hidden = true;
    view.say("");
    if (again || key) list.update();
    return key ? refresh() : form.update(null);
  }

  async function refresh() {
    const key = view.picked();
    if (!key || asking) return undefined;
    asking = true;
    const answer = await ask("status", key);
    asking = false;
    if (key !== view.picked()) return refresh();
    if (answer && $(".alert").textContent === refusal) view.complain("");
    refusal = answer?.error || "";
    if (answer?.missing) return showMissing(key);
    return refusal ? view.complain(refusal) : answer && show(answer);
  }

  function showMissing(key) {
    const before = view.job()?.state;
    view.select(key, { state: "away" });
    form.update(null);
    showAway(view, key);
    if (before && before !== "away") list.update();
  }

  function show(job) {
    const before = view.job()?.state;
    view.select(view.picked(), job);
    if (before !== job.state) showContinuation(view, job);
    showJob(view, job);
    samples.show(job);
    for (const part of [sheet, folds, publishing, onHub]) part.update(job);
    form.update(job);
    if (before && before !== job.state) list.update();
    if (arriving === view.picked()) $(".job").scrollIntoView({ block: "start" });
    arriving = "";
  }

  /** Shows a job that was just started or continued, as soon as its status is there. */
  function arrive(key) {
    list.setDraft("");
    form.close();
    arriving = key;
    pick(key);
  }

  return { list, form, pick, arrive, refresh };
}

/** Starts the view of training jobs in its element. */
export function mount(component) {
  const { element, props, watch } = component;
  const view = createView(component);
  const jobs = createJobView(view);
  onMessage(element, (message) => {
    if (message.matches(".status")) putLinkAway(view);
    setText(message, "");
  });
  watch("value", () => receive(view, jobs, props.value || {}));
  listenOutside(element, window, "ganime-link", ({ detail }) => jobs.pick(detail)); // see page.js
  const timer = setInterval(() => {
    if (!element.isConnected) return clearInterval(timer);
    const isSeen = document.visibilityState === "visible" && isLaidOut(element);
    if (!isSeen && !view.notifying.isWaiting()) return undefined;
    if (jobs.list.isStale()) jobs.list.update();
    return jobs.refresh();
  }, SECONDS * 1000);
  if (Object.keys(props.value || {}).length) receive(view, jobs, props.value); // set while this file was loaded
  jobs.list.update();
}
