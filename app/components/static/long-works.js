// Work that takes seconds, as the page's components ask for it: begun, asked for again and again, or given up.

const PATIENCE = 150; // ms between two reports of progress

/** Creates the table of works. */
export function createLongWorks() {
  const works = new Map();
  let latest = 0;
  const errorOf = (error) => ({ error: error.message || String(error) });

  return {
    /** Begins work; run(report, isLeft) returns a promise of the answer. isLeft(): whether it was given up. */
    begin(run) {
      latest += 1;
      const work = { progress: 0, left: false };
      work.answer = run((progress) => { work.progress = progress; }, () => work.left).catch(errorOf);
      works.set(String(latest), work);
      return { work: String(latest) };
    },
    /** The answer, which ends the work, or {progress} where it is not there yet. */
    async ask(id) {
      const work = works.get(id);
      if (!work) return { error: "This was stopped." };
      const pause = new Promise((resolve) => { setTimeout(resolve, PATIENCE); });
      const found = await Promise.race([work.answer, pause.then(() => ({ progress: work.progress }))]);
      if (!("progress" in found)) works.delete(id);
      return found;
    },
    leave(id) {
      const work = works.get(id);
      if (work) work.left = true;
      works.delete(id);
      return {};
    },
  };
}
