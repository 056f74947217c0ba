// The walk of the Interpolate tab. All its frames arrive in one exact sheet, so that the slider takes no request.
// props.value = {key, asked: [start, end, clarity, boldness]}: the model and what the controls say. The server answers
// {key, model, revision, sheet, columns, side, frames, start, end, truncation, clarity, endings} or {error}; see
// path_value.
import { download, finder, loadPicture } from "../shared/dom.js";
import { drawLive } from "../shared/live.js";
import { createLongWork } from "../shared/long-work.js";
import { createPlayback } from "../shared/playback.js";
import { createRequest, saveFile } from "../shared/requests.js";
import { EASINGS, TIMES } from "./easing.js";

const RATE = 20; // frames per second
const FILM_SIDE = 256; // px of a film's frames

/** Shows the frames; they play there and back. walk(): the answer that is shown. */
function createPreview(element, walk) {
  const $ = finder(element);
  const easing = () => $(".easing").value;
  let time = 0; // the share of the time from one face to the other
  let direction = 1;

  const preview = createPlayback({
    element,
    canvas: $(".frame"),
    slider: $(".slider"),
    button: $(".play"),
    begin: (index) => { time = TIMES[easing()](index / (walk().frames - 1)); },
    advance(seconds) {
      const last = walk().frames - 1;
      time += (direction * seconds * RATE) / last;
      if (time >= 1) [time, direction] = [1, -1];
      if (time <= 0) [time, direction] = [0, 1];
      return Math.round(last * EASINGS[easing()](time));
    },
    shown(index) {
      const { start, end, frames } = walk();
      const percent = Math.round((index / (frames - 1)) * 100);
      $(".where").textContent = `${percent}% of the way from seed ${start} to seed ${end}`;
      $(".slider").setAttribute("aria-valuetext", `${percent} percent`);
    },
  });
  $(".easing").addEventListener("change", () => preview.playing() && preview.play());
  return preview;
}

/** Saves the walk there and back as a film. */
function createFilming({ element, request }, walk) {
  const $ = finder(element);
  const work = createLongWork(request, (on) => {
    $(".film-bar").hidden = $('[data-action="stop"]').hidden = !on;
    $(".film-bar").value = 0;
    $(".status").textContent = on ? "Preparing the file…" : "";
  });

  async function save(suffix) {
    const { key, model, revision, start, end, frames, truncation, clarity } = walk();
    const ends = [start, end].map((seed) => JSON.stringify({ model, revision, seed, truncation, clarity }));
    const settings = [2 * frames - 2, true, $(".easing").value, RATE, suffix, FILM_SIDE];
    const name = `walk-${start}-${end}${suffix}`;
    try {
      const begin = () => request("film", key, ends, ...settings);
      const answer = await work.run(begin, ({ progress }) => { $(".film-bar").value = progress; });
      if (!answer) return;
      download({ ...answer, name });
      $(".status").textContent = `Saved ${name}`;
    } catch (error) {
      $(".status").textContent = error.message;
    }
  }

  function stop() {
    work.stop();
    $(".status").textContent = "Stopped.";
  }

  return { save, stop };
}

function createWalk(component) {
  const { element, request } = component;
  const $ = finder(element);
  let answer = null; // the last one without an error
  const preview = createPreview(element, () => answer);
  const filming = createFilming(component, () => answer);

  async function show(value) {
    $(".alert").textContent = value.error || "";
    if (!value.frames) return;
    const image = await loadPicture(value.sheet);
    preview.stop();
    answer = { ...value, sheet: "" };
    $(".walk").hidden = false;
    $(".walk").dataset.walk = `${value.start}-${value.end}`;
    $('[data-suffix=".mp4"]').hidden = !value.endings.includes(".mp4");
    $(".status").textContent = "";
    preview.load({ ...answer, image }, value.side, true);
  }

  function saveFrame(button) {
    const { key, start, end, frames, truncation, clarity } = answer;
    const position = Number($(".slider").value) / (frames - 1);
    const face = { seed: start, truncation, toward: end, position, clarity };
    const recipe = JSON.stringify({ model: "", revision: "", ...face });
    return saveFile(button, $(".status"), () => request("frame_file", key, recipe, Number(button.dataset.size)));
  }

  const actions = { frame: saveFrame, film: ({ dataset }) => filming.save(dataset.suffix), stop: filming.stop };
  element.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (button && answer) actions[button.dataset.action](button);
  });
  return { show };
}

/** Starts the walk in its element. */
export function mount(component) {
  const walk = createWalk({ ...component, request: createRequest(component) });
  drawLive(component, component.element.querySelector(".walk"), walk.show);
}
