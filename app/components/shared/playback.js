// Films in the browser: the frames of a sheet on a canvas, with a slider and a button to play them.
import { create, isLaidOut } from "./dom.js";
import { drawTile } from "./sheets.js";

/** Matches for people who have asked for less motion; nothing moves then unless they start it. */
export const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** Calls step(seconds) at the display's rate while the element is laid out; seconds: since the call before. */
function createClock(element, step, stopped) {
  let request = 0;
  let before = null;

  function tick(now) {
    if (!element.isConnected) return stop();
    request = requestAnimationFrame(tick);
    const seconds = before === null ? 0 : (now - before) / 1000;
    before = now;
    return isLaidOut(element) ? step(seconds) : undefined;
  }

  function stop() {
    if (request) stopped();
    cancelAnimationFrame(request);
    [request, before] = [0, null];
  }

  const start = () => { request = request || requestAnimationFrame(tick); };
  return { start, stop, playing: () => request !== 0 };
}

/**
 * Shows the frames of a sheet. Playing and scrubbing take no request.
 *
 * element: of the component. canvas, slider, button: parts that the frames are shown on and controlled by.
 * begin(index): called when playing starts. advance(seconds): the frame to show next, null for none.
 * shown(index): called after a frame was drawn.
 */
export function createPlayback({ element, canvas, slider, button, begin, advance, shown = () => {} }) {
  const frame = create("canvas"); // one frame at its own size, so that scaling mixes in no neighbour on the sheet
  let film = null; // {image, columns, side, frames}
  const index = () => Number(slider.value);

  function draw() {
    if (!film) return;
    drawTile(frame.getContext("2d"), film.image, film, index());
    canvas.getContext("2d").drawImage(frame, 0, 0, canvas.width, canvas.height);
    canvas.dataset.index = index();
    shown(index());
  }

  function label(sign, words) {
    button.textContent = sign;
    button.setAttribute("aria-label", words);
  }

  const clock = createClock(element, (seconds) => {
    const next = advance(seconds);
    if (next === null || next === index()) return;
    slider.value = next;
    draw();
  }, () => label("▶", "Play"));

  function play() {
    if (!film) return;
    begin(index());
    label("❚❚", "Pause");
    clock.start();
  }

  slider.addEventListener("input", () => { clock.stop(); draw(); });
  button.addEventListener("click", () => (clock.playing() ? clock.stop() : play()));
  return {
    /** Shows a film from its first frame, or from where the slider stands. size: of the canvas, in pixels. */
    load(sheet, size, keepPosition = false) {
      clock.stop();
      film = sheet;
      frame.width = frame.height = sheet.side;
      canvas.width = canvas.height = size;
      canvas.getContext("2d").imageSmoothingQuality = "high";
      slider.max = sheet.frames - 1;
      if (!keepPosition) slider.value = 0;
      draw();
    },
    play,
    stop: clock.stop,
    playing: clock.playing,
    film: () => film,
  };
}
