// Searches that take seconds, one at a time: for faces with traits, and for the face closest to a picture.
import { createLongWork } from "../shared/long-work.js";

// By the action that begins one: its stop button, its progress bar and its text.
const PARTS = { find: ["stop-find", ".find-bar", ".found-text"], pick: ["stop-search", ".near-bar", ".near-text"] };

/** Creates the searches. */
export function createSearches({ $, request }) {
  const work = createLongWork(request);
  let current = ""; // the search that is running

  /** Shows that the search of this name is running, and no other; "" for none at all. */
  function showRunning(running, words = "") {
    current = running;
    for (const [name, [stop, bar, text]] of Object.entries(PARTS)) {
      const on = name === running;
      const [begin, end] = [$(`[data-do="${name}"]`), $(`[data-do="${stop}"]`)];
      const focused = [begin, end].includes(document.activeElement);
      if (on || !$(bar).hidden) $(text).textContent = on ? words : "";
      begin.disabled = on;
      end.hidden = $(bar).hidden = !on;
      $(bar).value = 0;
      if (focused) (on ? end : begin).focus(); // the one of the two that can be pressed
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
    /** Gives up the search that is running; name: only if it is this one. */
    stop(name = current) {
      if (name !== current) return;
      work.stop();
      showRunning("");
    },
  };
}
