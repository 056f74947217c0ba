// Motion on the page: whether it is welcome, and a clock for it.
import { isLaidOut } from "./dom.js";

/** Matches for people who have asked for less motion; nothing moves then unless they start it. */
export const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** Scrolls to an element, smoothly where motion is welcome. block: "start" or "center", where it comes. */
export function scrollTo(element, block = "start") {
  element.scrollIntoView({ block, behavior: reducedMotion.matches ? "auto" : "smooth" });
}

/** Creates a clock that calls step(seconds) at the display's rate; seconds: since the call before. */
export function createClock(element, step) {
  let request = 0;
  let before = null;

  function tick(now) {
    request = element.isConnected ? requestAnimationFrame(tick) : 0;
    const seconds = before === null ? 0 : Math.min(0.25, (now - before) / 1000); // a page in the background gets none
    before = now;
    if (isLaidOut(element)) step(seconds);
  }

  return {
    start() { request = request || requestAnimationFrame(tick); },
    stop() {
      cancelAnimationFrame(request);
      [request, before] = [0, null];
    },
    running: () => request !== 0,
  };
}

/** Draws a picture on a canvas, or a mixture of two: `share` of the second one over the first. */
export function paintMix(canvas, first, second = null, share = 0) {
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.globalAlpha = 1;
  context.drawImage(first, 0, 0, canvas.width, canvas.height);
  if (!second || !share) return;
  context.globalAlpha = share;
  context.drawImage(second, 0, 0, canvas.width, canvas.height);
  context.globalAlpha = 1;
}
