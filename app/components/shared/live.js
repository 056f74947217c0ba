// Pictures that follow the controls of a tab.
import { NO_ANSWER } from "./requests.js";

/**
 * Has the server draw what props.value = {key, asked} asks for, now and whenever it changes.
 *
 * part: an element that is marked as busy meanwhile. show(answer): shows the answer, which may be {error}. One request
 * runs at a time; of the values that arrive meanwhile only the last one is requested.
 */
export function drawLive({ props, server, trigger, watch }, part, show) {
  let running = false;
  let waiting = null;

  async function answerTo(question) {
    const answer = await server.draw(question).catch(() => null);
    if (answer?.missing) trigger("gone", {});
    return answer || { error: NO_ANSWER };
  }

  async function update() {
    const { key, asked } = props.value || {};
    if (!key || !asked || asked.includes(null)) return; // null: a field that is being edited
    waiting = [key, ...asked];
    if (running) return;
    running = true;
    part.setAttribute("aria-busy", "true");
    try {
      while (waiting) {
        const question = waiting;
        waiting = null;
        await show(await answerTo(question));
      }
    } finally {
      part.setAttribute("aria-busy", "false");
      running = false;
    }
  }

  watch("value", update);
  update();
}
