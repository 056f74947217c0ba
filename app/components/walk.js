// The walk: all frames come in one exact sheet; the slider shows them from memory, without a request.
// props.value = {key, asked: [start, end, truncation]}: the model and what the controls say; the server then answers with
// {key, sheet, columns, side, frames, start, end, truncation} or {error}, see walk_value.
const RATE = 20; // frames a second
let shown = null; // the last answer without an error
let picture = null; // its sheet
let at = 0; // the frame that is shown, with what has gone by of it
let direction = 1;

function show() {
  const { start, end, frames, columns, side } = shown;
  const canvas = $(".frame");
  const index = Number($(".slider").value);
  const [column, row] = [index % columns, Math.floor(index / columns)];
  if (canvas.width !== side) canvas.width = canvas.height = side;
  canvas.getContext("2d").drawImage(picture, column * side, row * side, side, side, 0, 0, side, side);
  canvas.dataset.index = index;
  const share = Math.round((index / (frames - 1)) * 100);
  $(".where").textContent = `${share} % of the way from seed ${start} to seed ${end}`;
  $(".slider").setAttribute("aria-valuetext", `${share} percent`);
}

function dress(sign, label) {
  $(".play").textContent = sign;
  $(".play").setAttribute("aria-label", label);
}

const film = player((seconds) => {
  const last = shown.frames - 1;
  at += direction * seconds * RATE;
  if (at >= last) [at, direction] = [last, -1];
  if (at <= 0) [at, direction] = [0, 1];
  if (Number($(".slider").value) === Math.round(at)) return;
  $(".slider").value = Math.round(at);
  show();
}, () => dress("▶", "Play"));

function play() {
  at = Number($(".slider").value);
  dress("❚❚", "Pause");
  film.start();
}

async function draw(value) {
  $(".alert").textContent = value.error || "";
  if (!value.frames) return;
  const image = new Image();
  image.src = value.sheet;
  await image.decode();
  [shown, picture] = [{ ...value, sheet: "" }, image];
  film.stop();
  $(".walk").hidden = false;
  $(".walk").dataset.walk = `${value.start}-${value.end}`;
  $(".slider").max = value.frames - 1;
  $(".status").textContent = "";
  show();
}

const ask = lastOf(async ({ key, asked }) => {
  $(".walk").setAttribute("aria-busy", "true");
  const answer = await server.draw([key, ...asked]).catch(() => null);
  await draw(answer || { error: "The server does not answer. Try again." });
  $(".walk").setAttribute("aria-busy", "false");
});

function meet() {
  const { key, asked } = props.value || {};
  if (key && asked && !asked.includes(null)) ask({ key, asked }); // null: a field that somebody is about to fill
}

$(".slider").addEventListener("input", () => { film.stop(); show(); });
$(".play").addEventListener("click", () => (film.playing() ? film.stop() : play()));

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  const value = shown;
  if (!button || !value) return;
  const { key, start, end, frames, truncation } = value;
  const position = Number($(".slider").value) / (frames - 1);
  const size = Number(button.dataset.size || 0);
  if (button.dataset.action === "frame") {
    const recipe = JSON.stringify({ model: "", revision: "", seed: start, truncation, toward: end, position });
    fetchFile(button, () => server.frame_file([key, recipe, size]));
  }
  if (button.dataset.action === "walk") {
    fetchFile(button, () => server.walk_file([key, start, end, frames, truncation, button.dataset.suffix]));
  }
});

watch("value", meet);
meet();
