// Work that takes seconds: the server goes on with it only while it is asked about it, and does one piece of a kind for a
// visitor. So a new one begins when the one before has given its place back.
// ask(name, ...): asks the server. busy(on): called when one begins, and when none is under way any more.
function longWork(ask, goOn, leave, busy = () => {}) {
  let latest = 0; // counts what was begun or stopped
  let before = Promise.resolve();

  async function steps(mine, begin, report) {
    if (mine !== latest) return null;
    const begun = await begin();
    const { search } = begun;
    if (search === undefined) return begun; // there was nothing to wait for
    for (;;) {
      if (mine !== latest) {
        await ask(leave, search);
        return null;
      }
      const answer = await ask(goOn, search);
      if (answer.progress === undefined) return answer;
      if (mine === latest) report(answer);
    }
  }

  return {
    stop() {
      latest += 1;
      busy(false);
    },
    // The last answer, null where it was stopped or another has taken its place. begin() asks the server to begin.
    async run(begin, report) {
      const mine = ++latest;
      busy(true);
      const mineDone = before.then(() => steps(mine, begin, report));
      before = mineDone.catch(() => null);
      try {
        const answer = await mineDone;
        return mine === latest ? answer : null;
      } catch (error) {
        if (mine !== latest) return null; // nobody waits for it any more
        throw error;
      } finally {
        if (mine === latest) busy(false);
      }
    },
  };
}
