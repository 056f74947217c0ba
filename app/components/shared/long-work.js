// Work that takes seconds. The server advances it only while it is asked, and does one piece of a kind for a visitor,
// so a new one begins once the one before has been given up.

/** What is said while work is being done: the server's words, with a capital. */
export const stepText = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}…` : "Beginning…");

/** A `busy` for createLongWork that disables the buttons of a form meanwhile. */
export const disabling = (form) => (on) => {
  for (const button of form.querySelectorAll("button")) button.disabled = on;
};

/**
 * Runs one piece of long work at a time.
 *
 * request(name, ...): calls a server function; "ask" advances work, "leave" gives it up. busy(on): called when work
 * begins, and when none is running any more.
 */
export function createLongWork(request, busy = () => {}) {
  let latest = 0; // number of runs and stops so far
  let previous = Promise.resolve();

  async function advance(run, begin, report) {
    if (run !== latest) return null;
    const begun = await begin();
    const { work } = begun;
    if (work === undefined) return begun; // the answer was there at once
    for (;;) {
      if (run !== latest) {
        await request("leave", work);
        return null;
      }
      const answer = await request("ask", work);
      if (answer.progress === undefined) return answer;
      if (run === latest) report(answer);
    }
  }

  return {
    /** Gives up what is running. */
    stop() {
      latest += 1;
      busy(false);
    },
    /**
     * Returns the last answer, null where the work was stopped or replaced.
     *
     * begin(): asks the server to begin; its answer has the key of the `work` unless it is final. report(answer): for
     * progress.
     */
    async run(begin, report) {
      const run = ++latest;
      busy(true);
      const work = previous.then(() => advance(run, begin, report));
      previous = work.catch(() => null);
      try {
        const answer = await work;
        return run === latest ? answer : null;
      } catch (error) {
        if (run !== latest) return null; // the error of work that was given up
        throw error;
      } finally {
        if (run === latest) busy(false);
      }
    },
  };
}
