// The gallery: one exact sheet of faces, cut into tiles by the browser; a picked tile is shown large with its recipe.
// props.value = {key, model, revision, sheet, columns, side, truncation, faces: [{seed, recipe}]} or {error}
let shown = null; // the last value without an error
let picked = 0;

function tile(index, value) {
  const rows = Math.ceil(value.faces.length / value.columns);
  const share = (place, count) => (count > 1 ? (place / (count - 1)) * 100 : 0);
  const face = document.createElement("span");
  face.className = "face";
  face.style.backgroundSize = `${value.columns * 100}% ${rows * 100}%`;
  const [column, row] = [index % value.columns, Math.floor(index / value.columns)];
  face.style.backgroundPosition = `${share(column, value.columns)}% ${share(row, rows)}%`;
  return face;
}

function pick(index, focus) {
  const value = shown;
  picked = Math.max(0, Math.min(index, value.faces.length - 1));
  element.querySelectorAll(".tile").forEach((button, place) => {
    button.setAttribute("aria-pressed", String(place === picked));
    button.tabIndex = place === picked ? 0 : -1;
    if (focus && place === picked) button.focus();
  });
  const { seed } = value.faces[picked];
  $(".large").replaceChildren(tile(picked, value));
  $(".large").setAttribute("aria-label", `Face of seed ${seed}`);
  $(".seed").textContent = `Seed ${seed}`;
  $(".recipe").textContent = `${value.model} · revision ${value.revision} · seed ${seed} · truncation ${value.truncation}`;
  $(".native").textContent = `PNG ${value.side} px`;
}

function draw() {
  const value = props.value || {};
  $(".alert").textContent = value.error || "";
  if (!value.faces) return;
  shown = value;
  $(".stage").hidden = false;
  $(".stage").style.setProperty("--sheet", `url(${value.sheet})`);
  $(".stage").dataset.key = value.key;
  const buttons = value.faces.map(({ seed }, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "tile";
    button.dataset.seed = seed;
    button.setAttribute("aria-label", `Seed ${seed}`);
    const caption = document.createElement("span");
    caption.className = "caption";
    caption.textContent = seed;
    button.append(tile(index, value), caption);
    button.addEventListener("click", () => pick(index));
    return button;
  });
  $(".tiles").replaceChildren(...buttons);
  $(".status").textContent = "";
  pick(Math.min(picked, value.faces.length - 1));
}

$(".tiles").addEventListener("keydown", (event) => {
  const across = getComputedStyle($(".tiles")).gridTemplateColumns.split(" ").length;
  const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
  if (move === undefined) return;
  event.preventDefault();
  pick(picked + move, true);
});

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  const value = shown;
  if (!button || !value) return;
  const { seed, recipe } = value.faces[picked];
  const size = Number(button.dataset.size || 0);
  if (button.dataset.action === "png") fetchFile(button, () => server.face_file([value.key, recipe, size]));
  if (button.dataset.action === "zip") {
    fetchFile(button, () => server.zip_file([value.key, value.faces.map((face) => face.recipe)]));
  }
  if (button.dataset.action === "send") trigger("send", { slot: button.dataset.slot, seed, recipe });
});

watch("value", draw);
draw();
