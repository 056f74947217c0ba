// The walk: all frames come in one exact sheet; the slider shows them from memory, without a request.
// props.value = {key, sheet, columns, side, frames, start, end, truncation} or {error}
let shown = null; // the last value without an error
const picture = new Image();
let playing = 0;
let direction = 1;

function show() {
  const value = shown;
  if (!value || !picture.complete) return;
  const canvas = $(".frame");
  const index = Number($(".slider").value);
  const [column, row] = [index % value.columns, Math.floor(index / value.columns)];
  canvas.width = canvas.height = value.side;
  const { side } = value;
  canvas.getContext("2d").drawImage(picture, column * side, row * side, side, side, 0, 0, side, side);
  canvas.dataset.index = index;
  const share = Math.round((index / (value.frames - 1)) * 100);
  $(".where").textContent = `${share} % of the way from seed ${value.start} to seed ${value.end}`;
  $(".slider").setAttribute("aria-valuetext", `${share} percent`);
}

function stop() {
  clearInterval(playing);
  playing = 0;
  $(".play").textContent = "▶";
  $(".play").setAttribute("aria-label", "Play");
}

function play() {
  $(".play").textContent = "❚❚";
  $(".play").setAttribute("aria-label", "Pause");
  playing = setInterval(() => {
    const slider = $(".slider");
    if (!element.isConnected) return stop();
    if (Number(slider.value) >= Number(slider.max)) direction = -1;
    if (Number(slider.value) <= 0) direction = 1;
    slider.value = Number(slider.value) + direction;
    show();
  }, 50);
}

function draw() {
  const value = props.value || {};
  $(".alert").textContent = value.error || "";
  if (!value.frames) return;
  shown = value;
  stop();
  $(".walk").hidden = false;
  $(".walk").dataset.walk = `${value.start}-${value.end}`;
  $(".slider").max = value.frames - 1;
  $(".status").textContent = "";
  picture.onload = show;
  picture.src = value.sheet;
}

$(".slider").addEventListener("input", () => { stop(); show(); });
$(".play").addEventListener("click", () => (playing ? stop() : play()));

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

watch("value", draw);
draw();
