// Choose and From a picture: searches that take seconds.
const MOST_SIDE = 512; // px; a picture is made as small before it is sent
const picked = new Set(); // attributes to choose by
const searching = longWork(ask, "ask", "leave");
const WAITS = { find: ["stop-find", ".find-bar", ".found-text"], pick: ["stop-search", ".near-bar", ".near-text"] };

// Shows that a search of this name is under way, and that no other is; "" for none at all.
function busyWith(now, words = "") {
  for (const [name, [stop, bar, text]] of Object.entries(WAITS)) {
    const on = name === now;
    element.querySelectorAll(`[data-do="${name}"]`).forEach((button) => { button.disabled = on; });
    if (on || !$(bar).hidden) $(text).textContent = on ? words : "";
    $(`[data-do="${stop}"]`).hidden = $(bar).hidden = !on;
    $(bar).value = 0;
  }
}

// The last answer of a search, null where it was stopped or another has begun; that one's bar is left alone then.
async function search(name, words, begin, report) {
  busyWith(name, words);
  const [, bar] = WAITS[name];
  let ended = true;
  try {
    const answer = await searching.run(begin, (sofar) => {
      $(bar).value = sofar.progress;
      return report(sofar);
    });
    ended = answer !== null;
    return answer;
  } finally {
    if (ended) busyWith("");
  }
}

// Choose

function makeChips() {
  picked.clear();
  $(".chips").replaceChildren(...[...groupsOf(model.attributes)].map(([group, items]) => {
    const chips = items.map(({ name, label }) => {
      const chip = made("button", { type: "button", textContent: label });
      chip.dataset.chip = name;
      chip.setAttribute("aria-pressed", "false");
      chip.addEventListener("click", () => toggleChip(chip, items));
      return chip;
    });
    return made("div", { className: "row", role: "group", ariaLabel: group }, made("h3", { textContent: group }), ...chips);
  }));
}

// Of colours one is picked at a time.
function toggleChip(chip, items) {
  const { chip: name } = chip.dataset;
  const alone = /_(hair|eyes)$/.test(name) && !/^(long|short)_/.test(name);
  const had = picked.delete(name);
  if (alone) for (const item of items) picked.delete(item.name);
  if (!had) picked.add(name);
  element.querySelectorAll("[data-chip]").forEach((other) => {
    other.setAttribute("aria-pressed", String(picked.has(other.dataset.chip)));
  });
}

actions.find = () => {
  if (!picked.size) return complain("Pick at least one thing that the faces shall have.");
  return attempt(async () => {
    const answer = await search("find", "Looking…", () => ask("choose", [...picked], chance()), ({ text }) => {
      $(".found-text").textContent = text;
    });
    if (!answer) return;
    await showTiles(".found", answer);
    $(".found-text").textContent = answer.text;
  });
};

// From a picture

// The recipe in a PNG that Ganime made, "" where there is none: the text chunk of that name.
async function recipeInside(file) {
  if (file.size > 2 ** 24) return "";
  const bytes = new Uint8Array(await file.arrayBuffer());
  const view = new DataView(bytes.buffer);
  const latin = (start, end) => String.fromCharCode(...bytes.subarray(start, end));
  if (latin(1, 4) !== "PNG") return "";
  for (let at = 8; at + 12 <= bytes.length;) {
    const [length, kind] = [view.getUint32(at), latin(at + 4, at + 8)];
    const end = at + 8 + length;
    if (kind === "tEXt" && length < 20000 && latin(at + 8, at + 15) === "ganime\0") return latin(at + 15, end);
    at = end + 4;
  }
  return "";
}

// A file that was dropped or chosen: a face of Ganime goes to the stage, a tray is added to the own one, and any other
// picture is searched for.
function openFile(file) {
  return attempt(async () => {
    if (/\.json$/i.test(file.name) || file.type === "application/json") return openTray(file);
    const recipe = await recipeInside(file);
    if (!recipe) return nearestTo(file);
    if (!parse(recipe)) throw new Error("The recipe in this PNG is damaged.");
    return (await show({ recipe })) && say("Restored from the recipe in the file.");
  });
}

async function smaller(file) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) throw new Error("This file is no picture that the browser can read, and no tray of faces.");
  const scale = Math.min(1, MOST_SIDE / Math.min(picture.width, picture.height));
  const side = Math.min(MOST_SIDE, picture.width, picture.height);
  const canvas = made("canvas", { width: side, height: side }); // the square in the middle
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, side, side);
  const [width, height] = [picture.width * scale, picture.height * scale];
  context.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
  return canvas;
}

async function nearestTo(file) {
  const canvas = await smaller(file);
  const before = current();
  openTool("picture");
  $(".pair").hidden = false;
  for (const [name, source] of [[".wanted", canvas], [".nearest", null]]) {
    $(name).width = $(name).height = 256;
    if (source) $(name).getContext("2d").drawImage(source, 0, 0, 256, 256);
  }
  const picture = canvas.toDataURL("image/jpeg", 0.95).split(",")[1];
  let over = false; // whether the last face is drawn, which no earlier one may replace
  const answer = await search("pick", "Searching…", () => ask("project", picture), async ({ face }) => {
    const nearer = await pictureOf(face);
    if (!over) $(".nearest").getContext("2d").drawImage(nearer, 0, 0, 256, 256);
  });
  over = true;
  if (!answer) return;
  const [recipe] = await take(answer);
  paintFace($(".nearest"), recipe, 256);
  $(".near-text").textContent = answer.text;
  if (before === current()) return show({ recipe });
  keep(recipe);
  return say("The face that was searched for is found. It lies in your tray, for you have gone on meanwhile.");
}

function stopSearch() {
  searching.stop();
  busyWith("");
}

Object.assign(actions, { "stop-find": stopSearch, "stop-search": stopSearch, pick: () => $(".chosen-file").click() });
$(".chosen-file").addEventListener("change", () => {
  const [file] = $(".chosen-file").files;
  $(".chosen-file").value = "";
  if (file) openFile(file);
});

// A file may be dropped anywhere on the page. What takes files itself keeps them, and on the Train tab, which does, one that
// misses its field does nothing: the browser would leave the page for it.
const tabs = () => [...document.querySelectorAll("[role=tab]")];
const named = (tab, name) => tab.textContent.trim() === name;

function onDrag(kind, act) {
  document.addEventListener(kind, function dragged(event) {
    if (!element.isConnected) return document.removeEventListener(kind, dragged);
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return undefined;
    event.preventDefault();
    const training = tabs().some((tab) => named(tab, "Train") && tab.getAttribute("aria-selected") === "true");
    return training || act(event);
  });
}

onDrag("dragover", () => $(".explore").classList.add("over"));
onDrag("dragleave", () => $(".explore").classList.remove("over"));
onDrag("drop", (event) => {
  $(".explore").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (!file || !model) return;
  complain("");
  tabs().find((tab) => named(tab, "Explore"))?.click();
  openFile(file);
});
