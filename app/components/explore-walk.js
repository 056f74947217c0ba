// Animate. All frames of a walk come in one exact sheet, so that playing and scrubbing ask for nothing.
const walking = longWork(ask, "ask_walk", "leave_walk", busyWalking);
const SETTINGS = [".gap", ".speed", ".loop", ".easing", ".side"];
const MOST_GAP = 120;
let stroll = null; // {image, columns, side, frames}
const cell = document.createElement("canvas"); // one frame at its own size, so that scaling mixes in no neighbour
let strollAt = 0; // the frame that is shown, with what has gone by of it
let route = null; // the faces that a link walks through, null for those of the tray
let settings = null; // the settings and the route as they were last, for undo

const kept = () => (route || tray).filter((recipe) => pictures.has(recipe) && drawnHere(recipe));
const bounded = (selector, most, otherwise) => {
  const number = Math.round(Number($(selector).value));
  return Math.max(1, Math.min(most, number || otherwise));
};
const speed = () => bounded(".speed", 60, 20);
const gap = () => Math.max(2, bounded(".gap", MOST_GAP, 16));

// How many frames a walk through so many faces asks for; of more than can be drawn, as many lie evenly on the way.
const framesAsked = (many) => ($(".loop").checked ? many * gap() : (many - 1) * gap() + 1);
const framesOf = (many) => Math.min(model.frames, framesAsked(many));
const framesText = (many) => (framesAsked(many) > model.frames
  ? `${framesOf(many)} of ${whole(framesAsked(many))} frames`
  : `${framesOf(many)} frames`);
const THINNED = "longer walks are thinned, because a browser holds all frames at once to play them without a request. "
  + "Take fewer faces, or fewer frames between them";

function walkHint() {
  const many = kept().length;
  for (const name of ["stroll", "film", "walk-link"]) {
    element.querySelectorAll(`[data-do="${name}"]`).forEach((button) => { button.disabled = many < 2; });
  }
  $('[data-do="own-walk"]').hidden = !route;
  const whose = route ? `the ${many} faces of the link` : `the ${many} faces of the tray`;
  $(".walk-hint").textContent = many < 2
    ? "Keep two or more faces in the tray first; the walk goes through them in their order."
    : `Through ${whose} in their order: ${framesText(many)}${
      framesAsked(many) > model.frames ? `; ${THINNED}` : ` of at most ${model.frames}`}.`;
}

function frame() {
  if (!stroll) return;
  const { image, columns, side } = stroll;
  const index = Number($(".stroll-at").value);
  const canvas = $(".stroll");
  canvas.dataset.index = index;
  const [column, row] = [index % columns, Math.floor(index / columns)];
  cell.getContext("2d").drawImage(image, column * side, row * side, side, side, 0, 0, side, side);
  canvas.getContext("2d").drawImage(cell, 0, 0, canvas.width, canvas.height);
}

function dressPlay(sign, label) {
  $('[data-do="play"]').textContent = sign;
  $('[data-do="play"]').setAttribute("aria-label", label);
}

const film = player((seconds) => {
  if (!isOpen("animate")) return;
  strollAt = (strollAt + seconds * speed()) % stroll.frames;
  const index = Math.floor(strollAt);
  if (Number($(".stroll-at").value) === index) return;
  $(".stroll-at").value = index;
  frame();
}, () => dressPlay("▶", "Play"));

function play() {
  if (!stroll) return;
  strollAt = Number($(".stroll-at").value);
  dressPlay("❚❚", "Pause");
  film.start();
}

function busyWalking(on) {
  $(".walk-bar").hidden = $('[data-do="stop-walk"]').hidden = !on;
  $(".walk-bar").value = 0;
}

function forgetWalk() {
  walking.stop();
  route = null;
  settings = settingsNow();
}

// The last answer of a walk, null where it was stopped or another has begun.
function walk(name, ...rest) {
  const [recipes, easing] = [kept(), $(".easing").value];
  const begin = () => ask(name, recipes, framesOf(recipes.length), $(".loop").checked, easing, ...rest);
  return walking.run(begin, ({ progress }) => { $(".walk-bar").value = progress; });
}

Object.assign(actions, {
  stroll: () => attempt(async () => {
    const drawn = framesText(kept().length);
    const answer = await walk("walk");
    if (!answer) return;
    say(`The walk is drawn: ${drawn}.`);
    film.stop();
    stroll = { ...answer, sheet: "", image: await pictureOf(answer.sheet) };
    const canvas = $(".stroll");
    canvas.hidden = $(".stroll-bar").hidden = false;
    cell.width = cell.height = stroll.side;
    canvas.width = canvas.height = 384;
    canvas.getContext("2d").imageSmoothingQuality = "high";
    $(".stroll-at").max = stroll.frames - 1;
    $(".stroll-at").value = 0;
    frame();
    if (!stillness.matches) play();
  }),
  "stop-walk": walking.stop,
  play: () => (film.playing() ? film.stop() : play()),
  film: (button) => attempt(async () => {
    const drawn = framesText(kept().length);
    const answer = await walk("film", speed(), button.dataset.suffix, Number($(".side").value));
    if (!answer) return;
    download(answer);
    say(`Saved ${answer.name}: ${drawn}.`);
  }),
  "own-walk": () => {
    route = null;
    noteSettings();
    walkHint();
  },
});
opened.animate = walkHint;

// Settings, with the route, as undo and links keep them

function settingsNow() {
  const fields = Object.fromEntries(SETTINGS.map((name) => {
    const field = $(name);
    return [name.slice(1), field.type === "checkbox" ? field.checked : field.value];
  }));
  return { ...fields, route };
}

function noteSettings() {
  note("walk", settings, settingsNow());
  settings = settingsNow();
}

parts.walk = {
  words: "The walk is set as it was.",
  put(before) {
    for (const name of SETTINGS) {
      const field = $(name);
      field[field.type === "checkbox" ? "checked" : "value"] = before[name.slice(1)];
    }
    ({ route } = before);
    settings = before;
    walkHint();
  },
};
settings = settingsNow();
for (const name of SETTINGS) {
  $(name).addEventListener("change", () => {
    noteSettings();
    walkHint();
  });
}
$(".stroll-at").addEventListener("input", () => { film.stop(); frame(); });
stillness.addEventListener("change", () => stillness.matches && film.stop());

// Links

// A face of the loaded model as short as it can be told; `faceOf` makes a recipe of it again.
function brief(recipe) {
  const { model: _, revision: __, truncation, position, ...rest } = JSON.parse(recipe);
  return { ...rest, ...(truncation === 1 ? {} : { truncation }), ...(position ? { position } : {}) };
}

const faceOf = (face, { model: name, revision }) => JSON.stringify({ truncation: 1, ...face, model: name, revision });

actions["walk-link"] = () => {
  const faces = kept().map(brief);
  const { model: name, revision } = model;
  const { side, loop, easing } = settingsNow();
  const value = { model: name, revision, faces, gap: gap(), speed: speed(), loop, easing, side: Number(side) };
  return copyLink("walk", JSON.stringify(value), "This walk is too long for a link: faces that were steered, bred or "
    + "found hold all their numbers. Take fewer faces, or export the tray as a file.");
};

// A walk from a link. Throws for what is none; settings that a field does not know are left as they are.
function readWalk(text) {
  let given = null;
  try {
    given = JSON.parse(text);
  } catch {
    throw new Error("The walk in this link cannot be read. The link may have been cut short.");
  }
  const list = Array.isArray(given?.faces) ? given.faces : [];
  const faces = list.map((face) => faceOf(face, given));
  if (faces.length < 2 || faces.length > model.most || !faces.every(parse)) {
    throw new Error(`The walk in this link has no faces to walk through: it takes 2 to ${model.most} of Ganime's.`);
  }
  return { ...given, faces };
}

// Walks through the faces of a link; returns the first one. Another model's are refused by the server, by its name.
async function takeWalk({ faces, loop, ...given }) {
  route = await take(await ask("draw", faces));
  if (typeof loop === "boolean") $(".loop").checked = loop;
  for (const name of ["gap", "speed", "easing", "side"]) {
    const [field, before] = [$(`.${name}`), $(`.${name}`).value];
    field.value = String(given[name] ?? before);
    if (!field.value || !field.checkValidity()) field.value = before;
  }
  settings = settingsNow();
  return route[0];
}
