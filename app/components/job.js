// A visitor's training jobs: the keys are kept in this browser alone; the job that is picked is asked about every 2 s.
// props.value = {chosen: key, name} for a job just started or continued, {draft: key, gone: key} for faces that the form
// above is about, in place of earlier ones, or {error}; all texts are shown as text.
const KEYS = "ganime-jobs";
const MOST_KEYS = 50;
const SECONDS = 2;
const STATES = {
  draft: "Not started", queued: "Waiting", running: "Training", stopping: "Stopping, and saving what was learnt",
  finished: "Finished", failed: "Failed", interrupted: "Interrupted", away: "Not here now",
};
let trouble = ""; // what the last question about the job was refused with
let unkept = null; // the keys, where the browser keeps nothing
let picked = ""; // the key of the job that is shown
let shown = null; // its last status
let drawn = ""; // which sample grid is shown
let follow = true; // whether a new sample grid is shown as soon as it is there
let asking = false;
let arriving = ""; // the key of a job that was started just now and is not shown yet
let linked = keys().find((job) => job.linked)?.key || ""; // a key that came with a link and is not known to fit yet
let stale = false; // whether the list is to be asked for again
let draft = ""; // the key of the faces that the form above is about; they are listed only once they have left it

function keys() {
  try {
    const kept = unkept || JSON.parse(localStorage.getItem(KEYS));
    return Array.isArray(kept) ? kept.filter((job) => job && typeof job.key === "string").slice(0, MOST_KEYS) : [];
  } catch {
    return [];
  }
}

function keep(jobs) {
  const few = jobs.slice(0, MOST_KEYS).map(({ key, name }) => ({ key, name }));
  try {
    localStorage.setItem(KEYS, JSON.stringify(few));
    unkept = null;
  } catch {
    unkept = few;
    text(".alert", "This browser keeps nothing. Copy the link, or the job is lost with this page.");
  }
}

// The server's answer, null where there is none: that is said, and everything is asked again before long.
async function ask(name, ...values) {
  const answer = (await server[name](values).catch(() => null)) || null;
  text(".lost", answer ? "" : "The server does not answer. It is asked again in a moment.");
  return answer;
}

const text = (selector, words) => { // a live region speaks up only when its words change
  if ($(selector).textContent !== words) $(selector).textContent = words;
};
const whole = (number) => Number(number || 0).toLocaleString("en");
const label = (job) => job.name || (job.state === "draft" ? "Uploaded faces" : "Unnamed");

async function list() {
  const known = keys();
  const answer = known.length ? await ask("mine", known.map(({ key }) => key)) : { jobs: [] };
  stale = !answer?.jobs;
  if (stale) return answer && text(".alert", answer.error);
  const here = Object.fromEntries(answer.jobs.map((job) => [job.key, job]));
  if (linked && !here[linked] && known.some(({ key }) => key === linked)) {
    text(".alert", "There is no such job, or the link is not the right one.");
    keep(keys().filter(({ key }) => key !== linked));
  }
  linked = "";
  keep(keys().map(({ key, name }) => ({ key, name: here[key]?.name || name }))); // also those that are not here now
  const listed = keys().filter(({ key }) => key !== draft && known.some((job) => job.key === key))
    .map((job) => here[job.key] || { ...job, state: "away" });
  $(".own").hidden = !listed.length;
  $(".list").replaceChildren(...listed.map((job) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${label(job)} · ${(STATES[job.state] || job.state).split(",")[0]}`;
    button.setAttribute("aria-pressed", String(job.key === picked));
    button.addEventListener("click", () => pick(job.key));
    return button;
  }));
  if (!listed.some(({ key }) => key === picked)) pick(listed[0]?.key || "", false);
}

function pick(key, again = true) {
  [picked, shown, drawn, follow] = [key, null, "", true];
  comparing.stop();
  $(".job").hidden = true;
  $(".away").hidden = true;
  $(".card").open = false;
  $(".pictures").hidden = true;
  $(".confirm").hidden = true;
  $(".likeness").hidden = true;
  $(".log").open = false;
  text(".status", "");
  if (again || key) list();
  if (key) refresh();
}

async function refresh() {
  const key = picked;
  if (!key || asking) return;
  asking = true;
  const answer = await ask("status", key);
  asking = false;
  if (key !== picked) return refresh();
  if (answer && $(".alert").textContent === trouble) text(".alert", "");
  trouble = answer?.error || "";
  if (answer?.missing) away(key);
  else if (trouble) text(".alert", trouble);
  else if (answer) show(answer);
}

function away(key) {
  const before = shown?.state;
  shown = { state: "away" };
  $(".job").hidden = true;
  $(".away").hidden = false;
  text(".away h3", label(keys().find((job) => job.key === key) || {}));
  if (before && before !== "away") list();
}

function forget(key) {
  keep(keys().filter((job) => job.key !== key));
  pick("");
}

function show(job) {
  const before = shown?.state;
  shown = job;
  $(".away").hidden = true;
  $(".job").hidden = false;
  $(".job").dataset.state = job.state;
  $('[data-action="link"]').hidden = job.master; // it would hand on the owner's token
  text(".name", label(job));
  const place = job.state === "queued" && job.place ? `: number ${job.place} in the queue` : "";
  text(".state", `${STATES[job.state] || job.state}${place}`);
  text(".reason", job.reason || "");
  const live = job.state === "running" || job.state === "stopping";
  $(".bar").hidden = !live;
  $(".bar").setAttribute("aria-valuenow", String(Math.round(job.share * 100)));
  $(".bar span").style.width = `${Math.min(100, job.share * 100)}%`;
  const facts = [job.image_size ? `${job.image_size} px` : "", `${whole(job.faces)} pictures`];
  if (job.images) facts.push(`${whole(job.images)} images seen`);
  if (live && job.images_per_second) facts.push(`${job.images_per_second.toFixed(1)} images/s`);
  if (live && job.seconds_left !== null) facts.push(`${left(job.seconds_left)} left`);
  if (live && !job.share) facts.push("reading the faces, making ready");
  if (job.wait !== null) facts.push(job.wait < 1 ? "begins in a moment" : `begins in about ${left(job.wait)}`);
  text(".pace", facts.filter(Boolean).join(" · "));
  const can = {
    use: job.has_model, archive: job.has_model, nearest: job.has_model && job.can_resume,
    save: job.state === "running", stop: live || job.state === "queued", reconsider: job.state === "draft",
  };
  for (const [action, possible] of Object.entries(can)) $(`[data-action="${action}"]`).hidden = !possible;
  $('[data-action="stop"]').disabled = job.state === "stopping";
  text('[data-action="stop"]', job.state === "queued" ? "Leave the queue" : "Stop and keep");
  text('[data-action="discard"]', live || job.state === "queued" ? "Discard" : "Delete");
  if (before !== job.state) more(job);
  verdict(job);
  chart(".losses", ["Discriminator loss", "Generator loss"], job.losses, true);
  chart(".measures", ["Fréchet distance", "Diversity"], job.measures, false);
  const notes = job.notes.map((words) => Object.assign(document.createElement("li"), { textContent: words }));
  $(".notes").replaceChildren(...notes);
  grids(job);
  if ($(".log").open) readLog();
  $(".card").hidden = !job.has_model;
  if (before && before !== job.state) list();
  if (arriving !== picked) return;
  arriving = "";
  element.scrollIntoView(); // it is below the form
}

function grids(job) {
  const slider = $(".scrub");
  $(".pictures").hidden = !job.grids.length;
  if (!job.grids.length) return;
  slider.max = String(job.grids.length - 1);
  slider.hidden = job.grids.length < 2;
  if (follow) slider.value = slider.max;
  drawGrid();
}

async function drawGrid() {
  const [index, key] = [Number($(".scrub").value), picked];
  const images = shown.grids[index];
  const words = `Sample ${index + 1} of ${shown.grids.length}, after ${whole(images)} images`;
  $(".scrub").setAttribute("aria-valuetext", words);
  text(".when", words);
  const name = `${key} ${images}`;
  if (name === drawn) return;
  drawn = name;
  const answer = await ask("grid", key, images);
  if (name !== drawn) return; // the slider has moved on meanwhile
  if (!answer?.url) {
    drawn = "";
    return;
  }
  $(".grid").src = answer.url;
  $(".grid").alt = `Faces drawn after ${whole(images)} images`;
}

async function readLog() {
  const key = picked;
  const answer = await ask("log", key);
  if (key === picked) text(".log pre", answer?.text || answer?.error || "Nothing was written yet.");
}

async function readCard() {
  const key = picked;
  const answer = await ask("card", key);
  if (key !== picked) return;
  if (answer?.html) $(".card .text").innerHTML = answer.html; // made safe by the server: no HTML of strangers is in it
  else text(".card .text", answer?.error || "This model has no card.");
}

async function accepted(call) {
  text(".alert", "");
  const answer = await call;
  const refused = answer ? answer.error : "The server does not answer. Try again.";
  if (refused) text(".alert", refused);
  return !refused;
}

async function tell(call, words) {
  if (await accepted(call)) text(".status", words);
  refresh();
}

const asked = (name, search) => answerOf(() => server[name]([search]));
const comparing = longWork(asked, "ask_nearest", "leave_nearest", (on) => {
  $(".comparing").hidden = !on;
  $(".comparing progress").value = 0;
  $('[data-action="nearest"]').disabled = on;
  text(".status", on ? "Looking for the nearest training faces…" : "");
});

async function compare(key) {
  text(".alert", "");
  const begin = () => asked("nearest", key);
  const answer = await comparing.run(begin, ({ progress }) => { $(".comparing progress").value = progress; })
    .catch(({ message }) => text(".alert", message));
  if (!answer || key !== picked) return;
  $(".likeness").hidden = false;
  $(".pairs").src = answer.url;
  $(".pairs").alt = "Rows of faces of the model; below each row, the training faces that are nearest to them";
  const words = "First and third row: faces of the model. Below each: its nearest training face.";
  text(".likeness figcaption", `${words} ${answer.text}`);
}

const ACTIONS = {
  use: (key) => trigger("use", { key }),
  resume: (key) => trigger("resume", { key, minutes: $(".minutes").value }),
  reconsider: (key) => trigger("reconsider", { key }),
  archive: (key, button) => fetchFile(button, () => server.archive_file([key])),
  nearest: compare,
  "stop-nearest": () => {
    comparing.stop();
    text(".status", "Stopped.");
  },
  save: (key) => tell(ask("save_now", key), "It saves and draws a sample after the step it is at."),
  stop: (key) => tell(ask("stop", key), ""),
  forget,
  discard: () => { $(".confirm").hidden = false; $('[data-action="keep"]').focus(); },
  keep: () => { $(".confirm").hidden = true; $('[data-action="discard"]').focus(); },
  really: async (key) => {
    if (!(await accepted(ask("discard", key)))) return;
    forget(key); // before it is asked about again: it would be said to be away
    trigger("gone", {}); // its model may be the one in use
  },
  link: async (key) => {
    const link = `${location.origin}${location.pathname}#job=${key}`;
    const copied = await navigator.clipboard?.writeText(link).then(() => true, () => false);
    text(".status", copied ? "Copied. Who has the link can do with this job what you can." : link);
  },
};

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (button && picked) ACTIONS[button.dataset.action](picked, button);
});
$(".scrub").addEventListener("input", () => {
  follow = $(".scrub").value === $(".scrub").max;
  drawGrid();
});
$(".log").addEventListener("toggle", () => $(".log").open && readLog());
$(".card").addEventListener("toggle", () => $(".card").open && readCard());

watch("value", () => {
  const value = props.value || {};
  text(".alert", value.error || "");
  const key = value.chosen || value.draft;
  if (key) {
    const name = value.name || keys().find((job) => job.key === key)?.name || (value.draft ? "Uploaded faces" : "");
    keep([{ key, name }, ...keys().filter((job) => job.key !== key)]);
  }
  if (value.gone) keep(keys().filter((job) => job.key !== value.gone));
  if ("draft" in value) {
    draft = value.draft;
    list();
  } else if (value.chosen) {
    draft = "";
    arriving = value.chosen;
    pick(value.chosen);
  }
});

const timer = setInterval(() => {
  if (!element.isConnected) return clearInterval(timer);
  if (document.visibilityState !== "visible" || element.offsetParent === null) return;
  if (stale) list();
  refresh();
}, SECONDS * 1000);
const follows = ({ detail }) => { // a link that was pasted into this very page; tab_train.py tells of it
  if (!element.isConnected) return window.removeEventListener("ganime-link", follows);
  linked = detail;
  pick(detail);
};
window.addEventListener("ganime-link", follows);
list();
