// The gallery: one exact sheet of faces, cut into tiles; a picked tile is shown large with its recipe.
// props.value = {key, asked: [count, seed, truncation]}: the model and what the controls say; the server then answers with
// {key, model, revision, sheet, columns, side, truncation, faces: [{seed, recipe}]} or {error}, see gallery_value.
let shown = null; // the last answer without an error
let pieces = []; // its faces as canvases
let picked = 0;

function cut(image, { columns, side, faces }) {
  return faces.map((_, index) => {
    const canvas = document.createElement("canvas");
    canvas.className = "face";
    canvas.width = canvas.height = side;
    const [column, row] = [index % columns, Math.floor(index / columns)];
    canvas.getContext("2d").drawImage(image, column * side, row * side, side, side, 0, 0, side, side);
    return canvas;
  });
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
  const large = $(".large");
  large.width = large.height = value.side;
  large.getContext("2d").drawImage(pieces[picked], 0, 0);
  large.setAttribute("aria-label", `Face of seed ${seed}`);
  $(".seed").textContent = `Seed ${seed}`;
  $(".recipe").textContent = `${value.model} · revision ${value.revision} · seed ${seed} · truncation ${value.truncation}`;
  $(".native").textContent = `PNG ${value.side} px`;
}

async function draw(value) {
  $(".alert").textContent = value.error || "";
  if (!value.faces) return;
  const image = new Image();
  image.src = value.sheet;
  await image.decode();
  shown = { ...value, sheet: "" };
  pieces = cut(image, value);
  $(".stage").hidden = false;
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
    button.append(pieces[index], caption);
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

live(".tiles", draw);
