// The stage: the face that all tools begin from and give back to, its history, and what is known of the model.
// props.value = {key, model, revision, trained, side, steers, note, attributes, most, frames, sent} or {error}; see
// stage_value.
// A face is a recipe, as text; the server draws it, and `pictures` keeps what was drawn.
const MOST_PICTURES = 400;
const MOST_STEPS = 200;
const MOST_LINK = 8000; // characters; servers and messengers take no longer ones
const MAX_SEED = 4294967295;
const FOR_ONESELF = "It opens only in a browser that holds the link to the training job: the model was trained on this page. "
  + "For others save a PNG: they see the face, and its recipe is inside.";
const HUB_NAME = /^[\w][\w.-]*\/[\w][\w.-]*$/;
const pictures = new Map(); // recipe -> canvas, the oldest first
const painted = []; // called when another face is on the stage
const met = new Map(); // by their weights: the models that were loaded since the page was opened, as {key, trained}
let model = null; // the last value without an error
let stage = null; // {recipe, base, amounts}, what is on the stage; base and amounts for a face that was steered
let changes = []; // [{part, before, after}], what undo takes back, the oldest first
let standing = 0; // how many of them stand; redo brings the next one back
const parts = {}; // by name: {put(value), words}, what undo and redo work on
let waiting = ""; // the last face that was refused because its model was not loaded
let wanted = 0; // counts what was asked to be shown, so that an old answer never replaces a newer one
let tasks = 0; // counts what was attempted
let arrival = null; // {key, act, over}: what is to be done once the model of that key is loaded

const current = () => stage;
const whole = (number) => Number(number || 0).toLocaleString("en");
const chance = () => Math.floor(Math.random() * (MAX_SEED + 1));

function made(tag, options = {}, ...within) {
  const element = Object.assign(document.createElement(tag), options);
  element.append(...within);
  return element;
}

function say(words) {
  if ($(".status").textContent !== words) $(".status").textContent = words;
}

function complain(words, recipe = "") {
  $(".alert").textContent = words;
  const { model: name, revision } = parse(recipe) || {};
  const findable = HUB_NAME.test(name) || name === model?.embedded || met.has(revision) || jobKeys().length;
  const other = name && revision !== model?.revision && findable ? name : "";
  $(".offer").hidden = !other;
  waiting = other ? recipe : waiting;
  $(".offer button").textContent = `Load ${other}`;
}

// The recipe of a text, null for what is none; the server alone knows whether it can be drawn.
function parse(text) {
  try {
    const recipe = JSON.parse(text);
    return recipe && Number.isInteger(recipe.seed) && typeof recipe.model === "string" ? recipe : null;
  } catch {
    return null;
  }
}

const drawnHere = (text) => parse(text)?.revision === model.revision;

function ask(name, ...rest) {
  return answerOf(() => server[name]([model.key, ...rest]));
}

// Runs what a visitor has asked for; what goes wrong is said in words. The stage shows that the latest is under way.
async function attempt(work, recipe = "") {
  const ticket = ++tasks;
  $(".window").setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    complain(error.message || "This did not work. Try again.", recipe);
    return undefined;
  } finally {
    if (ticket === tasks) $(".window").setAttribute("aria-busy", "false");
  }
}

async function pictureOf(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

// Cuts a sheet of faces into pictures; returns their recipes.
async function take({ sheet, columns, side, recipes }) {
  const image = await pictureOf(sheet);
  recipes.forEach((recipe, index) => {
    const canvas = made("canvas", { width: side, height: side });
    const [column, row] = [index % columns, Math.floor(index / columns)];
    canvas.getContext("2d").drawImage(image, column * side, row * side, side, side, 0, 0, side, side);
    pictures.delete(recipe);
    pictures.set(recipe, canvas);
  });
  for (const recipe of [...pictures.keys()].slice(0, Math.max(0, pictures.size - MOST_PICTURES))) pictures.delete(recipe);
  return recipes;
}

function paintFace(canvas, recipe, side) {
  const picture = pictures.get(recipe);
  canvas.width = canvas.height = side || picture?.width || 1;
  if (!picture) return;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

const words = (recipe) => {
  const { seed, toward, position, vector } = parse(recipe) || {};
  if (vector) return seed ? `Made, beginning at seed ${seed}` : "Made";
  return toward === undefined ? `Seed ${seed}` : `${Math.round(position * 100)} % from seed ${seed} to ${toward}`;
};

// A face to click on.
function tile(recipe, act, label = words(recipe)) {
  const canvas = made("canvas");
  paintFace(canvas, recipe);
  const button = made("button", { type: "button", className: "mug" }, canvas);
  button.setAttribute("aria-label", label);
  button.dataset.recipe = recipe;
  button.addEventListener("click", act);
  return button;
}

// Tiles of an answer, each of which goes to the stage when it is clicked.
async function showTiles(where, answer) {
  const recipes = await take(answer);
  $(where).replaceChildren(...recipes.map((recipe, index) => {
    const button = tile(recipe, () => show({ recipe }), `Face ${index + 1}: ${words(recipe)}`);
    if (answer.carries && !answer.carries[index]) button.classList.add("not-quite");
    return button;
  }));
}

// Puts a face on the stage, and tells whether it is there; `replace` for one that takes the place of the last step.
function show(step, replace = false) {
  const ticket = ++wanted;
  return attempt(async () => {
    if (!pictures.has(step.recipe) || !drawnHere(step.recipe)) {
      const [recipe] = await take(await ask("draw", [step.recipe]));
      if (ticket !== wanted || !drawnHere(recipe)) return false; // something newer, or another model, has come
      step = { ...step, recipe }; // as the server writes it
    }
    note("stage", stage, step, replace);
    stage = step;
    paint();
    return true;
  }, step.recipe);
}

// Remembers a change, so that it can be undone; what comes before the first face is the beginning. `replace`: it goes on
// with the last one, as a slider that is moved farther does.
function note(part, before, after, replace = false) {
  if (!stage) return;
  const last = changes[standing - 1];
  const goesOn = replace && last?.part === part;
  const change = { part, before: goesOn ? last.before : before, after };
  changes = [...changes.slice(0, goesOn ? standing - 1 : standing), change].slice(-MOST_STEPS);
  standing = changes.length;
  showHistory();
}

// Undo and redo; a face of another model brings that model back.
function go(by) {
  const change = nextChange(by);
  if (!change) return undefined;
  const [value, ticket] = [by < 0 ? change.before : change.after, ++wanted];
  const face = change.part === "stage" ? value.recipe : "";
  const step = () => attempt(async () => {
    if (face && !pictures.has(face)) await take(await ask("draw", [face]));
    if (ticket !== wanted || change !== nextChange(by)) return;
    standing += by;
    await parts[change.part].put(value);
    say(parts[change.part].words);
    showHistory();
  }, face);
  const skip = () => { // no model draws its face any more: the next undo goes farther back
    changes = changes.filter((one) => one !== change);
    if (by < 0) standing -= 1;
    showHistory();
  };
  return face && !drawnHere(face) ? bring(face, step, skip) : step();
}

const nextChange = (by) => changes[by < 0 ? standing - 1 : standing];

function showHistory() {
  $('[data-do="undo"]').disabled = !standing;
  $('[data-do="redo"]').disabled = standing >= changes.length;
}

parts.stage = {
  words: "",
  put(step) {
    stage = step;
    paint();
  },
};

function paint() {
  const { recipe } = current();
  const { model: name, revision, truncation = 1 } = parse(recipe);
  $(".explore").hidden = false;
  paintFace($(".now"), recipe, 512);
  $(".now").dataset.recipe = recipe;
  $(".now").setAttribute("aria-label", words(recipe));
  $(".made-by").textContent = `${words(recipe)} · truncation ${truncation} · ${name} · weights ${revision}`;
  $(".own-size").textContent = `PNG ${model.side} px`;
  showHistory();
  for (const listener of painted) listener();
}

const dice = () => {
  const { model: name, revision } = model;
  return show({ recipe: JSON.stringify({ model: name, revision, seed: chance(), truncation: 1 }) });
};

// Whether only those can load the model of a face who hold the key of the job that trained it.
const forOneself = (recipe) => {
  const { model: name, revision } = parse(recipe);
  return met.get(revision)?.trained ?? !(HUB_NAME.test(name) || name === model.embedded);
};

const TOO_LONG = "These faces are too many for a link. Export them as a file instead.";
async function copyLink(name, value, tooLong = TOO_LONG, recipes = [current().recipe]) {
  const link = `${location.origin}${location.pathname}?${name}=${encodeURIComponent(value)}`;
  if (link.length > MOST_LINK) return say(tooLong);
  const copied = await navigator.clipboard?.writeText(link).then(() => true, () => false);
  const reach = recipes.some(forOneself) ? FOR_ONESELF : "Whoever can open this page sees the same by it.";
  say(copied ? `Copied. ${reach}` : `${link} ${reach}`);
}

function openTool(name) {
  element.querySelectorAll("[data-tool]").forEach((button) => {
    button.setAttribute("aria-expanded", String(button.dataset.tool === name));
  });
  element.querySelectorAll("[data-panel]").forEach((panel) => { panel.hidden = panel.dataset.panel !== name; });
  if (name !== "copy") comparing.stop();
  opened[name]?.();
}

const isOpen = (name) => !$(`[data-panel="${name}"]`).hidden;
const opened = {}; // by tool: called when it is opened
const actions = { // by data-do: called when such a button is clicked
  dice,
  undo: () => go(-1),
  redo: () => go(1),
  keep: () => keep(current().recipe),
  link: () => copyLink("face", current().recipe),
  png: (button) => fetchFile(button, () => server.keep_file([model.key, current().recipe, Number(button.dataset.size)])),
  bring: () => {
    const recipe = waiting;
    return bring(recipe, () => show({ recipe }));
  },
};

// The next of the faces that the open tool shows, after the one on the stage; another one where it shows none.
function next() {
  const tiles = [...element.querySelectorAll("[data-panel]:not([hidden]) .faces:not(.parents) .mug")];
  const here = tiles.findIndex((button) => button.dataset.recipe === current().recipe);
  return tiles.length ? tiles[(here + 1) % tiles.length].click() : dice();
}

actions.next = next;
const KEYS = { d: "dice", k: "keep", n: "next", z: "undo", y: "redo" };
document.addEventListener("keydown", function pressed(event) {
  if (!element.isConnected) return document.removeEventListener("keydown", pressed);
  const field = event.target.closest?.("input:not([type=range], [type=checkbox], [type=file]), textarea, select, [contenteditable]");
  if (field || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const action = KEYS[event.key.toLowerCase()];
  if (!action || !current() || element.offsetParent === null) return;
  complain("");
  actions[action]();
});

element.addEventListener("input", () => complain(""));
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || !model) return;
  complain("");
  if (button.dataset.tool) openTool(button.getAttribute("aria-expanded") === "true" ? "" : button.dataset.tool);
  if (button.dataset.do) actions[button.dataset.do]?.(button);
});
