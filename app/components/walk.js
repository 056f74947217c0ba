// The walk: all frames come in one exact sheet; the slider shows them from memory, without a request.
// props.value = {key, asked: [start, end, truncation]}: the model and what the controls say; the server then answers with
// {key, model, revision, sheet, columns, side, frames, start, end, truncation, endings} or {error}, see walk_value.
const RATE = 20; // frames a second
const SIDE = 256; // px, of an animation
let shown = null; // the last answer without an error
let picture = null; // its sheet
let at = 0; // the share of the time from one face to the other that has gone by
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

// How far a face has come after a share of the time, as `ganime.latents.eased` tells it, and the other way round.
const EASINGS = { linear: (t) => t, smooth: (t) => t * t * (3 - 2 * t) };
const TIMES = { linear: (way) => way, smooth: (way) => 0.5 - Math.sin(Math.asin(1 - 2 * way) / 3) };

const preview = player((seconds) => {
  const last = shown.frames - 1;
  at += (direction * seconds * RATE) / last;
  if (at >= 1) [at, direction] = [1, -1];
  if (at <= 0) [at, direction] = [0, 1];
  const index = Math.round(last * EASINGS[$(".easing").value](at));
  if (Number($(".slider").value) === index) return;
  $(".slider").value = index;
  show();
}, () => dress("▶", "Play"));

function play() {
  at = TIMES[$(".easing").value](Number($(".slider").value) / (shown.frames - 1));
  dress("❚❚", "Pause");
  preview.start();
}

// The walk there and back as a file.

const ask = (name, ...rest) => answerOf(() => server[name]([shown.key, ...rest]));
const filming = longWork(ask, "ask_walk", "leave_walk", (on) => {
  $(".film-bar").hidden = $('[data-action="stop"]').hidden = !on;
  $(".film-bar").value = 0;
  $(".status").textContent = on ? "Preparing the file…" : "";
});

async function film({ model, revision, start, end, frames, truncation }, suffix) {
  const ends = [start, end].map((seed) => JSON.stringify({ model, revision, seed, truncation }));
  const begin = () => ask("film", ends, 2 * frames - 2, true, $(".easing").value, RATE, suffix, SIDE);
  try {
    const answer = await filming.run(begin, ({ progress }) => { $(".film-bar").value = progress; });
    if (!answer) return;
    download({ ...answer, name: `walk-${start}-${end}${suffix}` });
    $(".status").textContent = `Saved walk-${start}-${end}${suffix}`;
  } catch (error) {
    $(".status").textContent = error.message;
  }
}

async function draw(value) {
  $(".alert").textContent = value.error || "";
  if (!value.frames) return;
  const image = new Image();
  image.src = value.sheet;
  await image.decode();
  [shown, picture] = [{ ...value, sheet: "" }, image];
  preview.stop();
  $(".walk").hidden = false;
  $(".walk").dataset.walk = `${value.start}-${value.end}`;
  $(".slider").max = value.frames - 1;
  $('[data-suffix=".mp4"]').hidden = !value.endings.includes(".mp4");
  $(".status").textContent = "";
  show();
}

$(".slider").addEventListener("input", () => { preview.stop(); show(); });
$(".play").addEventListener("click", () => (preview.playing() ? preview.stop() : play()));
$(".easing").addEventListener("change", () => preview.playing() && play());

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
  if (button.dataset.action === "film") film(value, button.dataset.suffix);
  if (button.dataset.action === "stop") {
    filming.stop();
    $(".status").textContent = "Stopped.";
  }
});

live(".walk", draw);
