// The tray: kept faces, as recipes in this browser's storage. Those of another model wait there until it is loaded.
const TRAY = "ganime-tray";
const MOST_BYTES = 2 ** 20; // of a file with a tray
let tray = [];
let marked = -1; // which of them is moved or removed

function storedTray() {
  try {
    const kept = JSON.parse(localStorage.getItem(TRAY));
    return Array.isArray(kept) ? kept.filter((text) => typeof text === "string" && parse(text)).slice(0, model.most) : [];
  } catch {
    return [];
  }
}

function changeTray(recipes) {
  note("tray", tray, recipes);
  return putTray(recipes);
}

function putTray(recipes) {
  tray = recipes;
  try {
    localStorage.setItem(TRAY, JSON.stringify(tray));
  } catch {
    complain("This browser stores nothing, so the tray is lost with this page. Export it as a file.");
  }
  return drawTray();
}

async function drawTray() {
  const missing = tray.filter((recipe) => drawnHere(recipe) && !pictures.has(recipe));
  if (missing.length) {
    const drawn = await ask("draw", missing).then(take).catch(() => []);
    if (!drawn.length) for (const recipe of missing) await ask("draw", [recipe]).then(take).catch(() => null);
  }
  const many = tray.length;
  $(".tray-hint").textContent = many
    ? `${whole(many)} of at most ${model.most}. Only this browser keeps them. Click one to bring it to the stage.`
    : "Nothing is kept yet. Keep the face on the stage with ♥, or the key K.";
  marked = Math.min(marked, many - 1);
  $(".favourites").replaceChildren(...tray.map((recipe, index) => {
    const button = tile(recipe, () => choosePlace(index), `Kept face ${index + 1}: ${words(recipe)}`);
    if (!pictures.has(recipe)) {
      button.classList.add("elsewhere");
      button.append(made("span", { textContent: drawnHere(recipe) ? "cannot be drawn" : `of ${parse(recipe).model}` }));
    }
    button.setAttribute("aria-pressed", String(index === marked));
    return button;
  }));
  for (const name of ["left", "right", "remove"]) $(`[data-do="${name}"]`).disabled = marked < 0;
  for (const name of ["zip", "tray-link"]) $(`[data-do="${name}"]`).disabled = !many;
  showExport();
  trayChanged();
}

function showExport() {
  $('[data-do="export"]').disabled = !tray.length && !own.length;
}

function choosePlace(index) {
  marked = index;
  drawTray();
  return show({ recipe: tray[index] });
}

function keep(recipe) {
  if (tray.includes(recipe)) return say("It is in the tray already.");
  if (tray.length >= model.most) return say(`The tray is full: it holds ${model.most} faces. Remove some first.`);
  say("Kept.");
  return changeTray([...tray, recipe]);
}

function move(by) {
  const to = marked + by;
  if (marked < 0 || to < 0 || to >= tray.length) return;
  const moved = [...tray];
  [moved[marked], moved[to]] = [moved[to], moved[marked]];
  marked = to;
  changeTray(moved);
}

// Faces from a file or a link; those of the loaded model are drawn before any is taken. directions: of a file alone, for
// a link would leave sliders behind that nobody has asked for.
async function takeTray(given, what, directions) {
  const list = Array.isArray(given) ? given : given?.ganime === "tray" ? given.faces : null;
  const recipes = Array.isArray(list) ? list.map((recipe) => JSON.stringify(recipe)) : [];
  if (given?.ganime === "tray" && !recipes.length) {
    const came = takeOwn(directions);
    if (came) say(came.trim());
    if (came) return [];
  }
  if (!recipes.length || !recipes.every(parse)) throw new Error(`${what} holds no tray of Ganime's faces.`);
  if (recipes.length > model.most) throw new Error(`${what} holds ${recipes.length} faces; a tray has ${model.most}.`);
  const here = recipes.filter(drawnHere);
  const drawn = here.length ? await take(await ask("draw", here)) : [];
  const asWritten = recipes.map((recipe) => (drawnHere(recipe) ? drawn[here.indexOf(recipe)] : recipe));
  const fresh = [...new Set(asWritten)].filter((recipe) => !tray.includes(recipe));
  const room = model.most - tray.length;
  await changeTray([...tray, ...fresh.slice(0, room)]);
  const left = fresh.length > room ? ` The tray is full, so ${fresh.length - room} were left out.` : "";
  say(`${Math.min(fresh.length, room)} of ${recipes.length} faces added to the tray.${left}${takeOwn(directions)}`);
  return asWritten;
}

parts.tray = { words: "The tray is as it was.", put: putTray };
Object.assign(actions, {
  left: () => move(-1),
  right: () => move(1),
  remove: () => changeTray(tray.filter((_, index) => index !== marked)),
  zip: (button) => {
    const here = tray.filter(drawnHere);
    if (here.length) return fetchFile(button, () => server.tray_file([model.key, here]));
    return complain("The faces in the tray are of other models. Load theirs first.", tray[0]);
  },
  export: () => {
    const faces = tray.map((recipe) => JSON.parse(recipe));
    const text = JSON.stringify({ ganime: "tray", faces, directions: own }, null, 1);
    const plain = text.replace(/[^\x00-\x7f]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
    download({ name: "ganime-tray.json", data: btoa(plain), type: "application/json" });
  },
  import: () => $(".tray-file").click(),
  "tray-link": () => copyLink("tray", JSON.stringify(tray.map((recipe) => JSON.parse(recipe))), TOO_LONG, tray),
});

window.addEventListener("storage", function stored(event) { // another tab of the browser has changed it
  if (!element.isConnected) return window.removeEventListener("storage", stored);
  if (event.key !== TRAY || !current()) return undefined;
  tray = storedTray();
  standing = changes.slice(0, standing).filter(({ part }) => part !== "tray").length; // undo would take that back, too
  changes = changes.filter(({ part }) => part !== "tray");
  showHistory();
  return drawTray();
});

// A file with a tray, chosen or dropped.
async function openTray(file) {
  if (file.size > MOST_BYTES) throw new Error(`A tray's file has at most ${whole(MOST_BYTES)} bytes.`);
  let given = null;
  try {
    given = JSON.parse(await file.text());
  } catch {
    throw new Error("This file is no JSON. Choose one that was exported here.");
  }
  return takeTray(given, "This file", given?.directions);
}

$(".tray-file").addEventListener("change", () => {
  const [file] = $(".tray-file").files;
  $(".tray-file").value = "";
  if (file) attempt(() => openTray(file));
});
