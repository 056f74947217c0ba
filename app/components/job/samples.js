// The sample grids of a training job: the same faces at the start and now, under a divider that is dragged, and a
// timeline to go back to earlier samples.
import { formatNumber, setText } from "../shared/dom.js";
import { removePicture, showPicture, shownIn } from "./pictures.js";

const COMPARING = [".before", ".divider", ".tag.first", ".tag.last", ".split"];

/** What a sample is called. */
export const nameOfSample = (images, index, count) => (
  images ? `Sample ${index + 1} of ${count}, after ${formatNumber(images)} images`
    : `Sample ${index + 1} of ${count}, before the first step`);

/** The divider between the start, on its left, and a later sample. */
function createDivider({ $ }) {
  const split = $(".pictures .split");

  function divide() {
    $(".before").style.clipPath = `inset(0 ${100 - split.value}% 0 0)`;
    $(".divider").style.left = `${split.value}%`;
    split.setAttribute("aria-valuetext", `${split.value}% of the picture shows the start`);
  }

  split.addEventListener("input", divide);
  divide();
  return { show(on) { for (const part of COMPARING) $(part).hidden = !on; } };
}

/** Creates the view of sample grids. view: see job.js. */
export function createSamples(view) {
  const { $, ask } = view;
  const slider = $(".pictures .scrub");
  const divider = createDivider(view);
  let grids = []; // images seen at each
  let follow = true; // whether a new one is shown as soon as it is there

  /** Shows the divider once there are two pictures to be compared, and not one on both of its sides. */
  function compare() {
    const [start, later] = [$(".before"), $(".grid")].map(shownIn);
    divider.show(Boolean(start && later) && start !== later);
  }

  /** Shows the sample grid of a number of training images in a picture. */
  async function load(image, images, alt) {
    const key = view.picked();
    await showPicture(image, `${key} ${images}`, () => ask("grid", key, images), { alt });
    compare();
  }

  function draw() {
    const index = Number(slider.value);
    const words = nameOfSample(grids[index], index, grids.length);
    slider.setAttribute("aria-valuetext", words);
    setText($(".when"), words);
    setText($(".tag.last"), index === grids.length - 1 ? "Now" : `${formatNumber(grids[index])} images`);
    load($(".grid"), grids[index], `Faces drawn after ${formatNumber(grids[index])} images`);
    if (grids.length > 1) load($(".before"), grids[0], "The same faces at the start");
  }

  slider.addEventListener("input", () => {
    follow = slider.value === slider.max;
    draw();
  });
  return {
    show(job) {
      ({ grids } = job);
      $(".pictures").hidden = !grids.length;
      if (!grids.length) return;
      slider.max = String(grids.length - 1);
      slider.hidden = grids.length < 2;
      if (follow) slider.value = slider.max;
      draw();
    },
    reset() {
      follow = true;
      for (const image of [$(".grid"), $(".before")]) removePicture(image);
      compare();
      $(".pictures").hidden = true;
    },
  };
}
