// Searches that take seconds, one at a time: for faces with traits, and for the face closest to a picture.
import { createLongWork } from "../shared/long-work.js";

// By the action that begins one: its stop button, its progress bar and its text.
const PARTS = { find: ["stop-find", ".find-bar", ".found-text"], pick: ["stop-search", ".near-bar", ".near-text"] };

/** Creates the searches. */
export function createSearches({ $, element, request }) {
  const work = createLongWork(request);

  /** Shows that the search of this name is running, and no other; "" for none at all. */
  function showRunning(running, words = "") {
    for (const [name, [stop, bar, text]] of Object.entries(PARTS)) {
      const on = name === running;
      element.querySelectorAll(`[data-do="${name}"]`).forEach((button) => { button.disabled = on; });
      if (on || !$(bar).hidden) $(text).textContent = on ? words : "";
      $(`[data-do="${stop}"]`).hidden = $(bar).hidden = !on;
      $(bar).value = 0;
    }
  }

  return {
    /** Returns the last answer of a search, null where it was stopped or replaced. */
    async run(name, words, begin, report) {
      showRunning(name, words);
      const [, bar] = PARTS[name];
      let ended = true; // a search that was replaced leaves the bar of the next one alone
      try {
        const answer = await work.run(begin, (event) => {
          $(bar).value = event.progress;
          return report(event);
        });
        ended = answer !== null;
        return answer;
      } finally {
        if (ended) showRunning("");
      }
    },
    stop() {
      work.stop();
      showRunning("");
    },
  };
}
