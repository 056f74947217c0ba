// The sample grids of a training job, with a slider to go back to earlier ones.
import { formatNumber, setText } from "../shared/dom.js";

/** Creates the view of sample grids. view: see job.js. */
export function createSamples(view) {
  const { $, ask } = view;
  const slider = $(".pictures .scrub");
  let grids = []; // images seen at each
  let drawn = ""; // which one is shown
  let follow = true; // whether a new one is shown as soon as it is there

  async function draw() {
    const [index, key] = [Number(slider.value), view.picked()];
    const images = grids[index];
    const words = `Sample ${index + 1} of ${grids.length}, after ${formatNumber(images)} images`;
    slider.setAttribute("aria-valuetext", words);
    setText($(".when"), words);
    const wanted = `${key} ${images}`;
    if (wanted === drawn) return;
    drawn = wanted;
    const answer = await ask("grid", key, images);
    if (wanted !== drawn) return; // the slider has moved meanwhile
    if (!answer?.url) {
      drawn = "";
      return;
    }
    $(".grid").src = answer.url;
    $(".grid").alt = `Faces drawn after ${formatNumber(images)} images`;
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
      [drawn, follow] = ["", true];
      $(".pictures").hidden = true;
    },
  };
}
