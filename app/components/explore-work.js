// Work that takes seconds: the server goes on with it only while it is asked about it, and does one piece of a kind for a
// visitor. So a new one begins when the one before has given its place back.
function longWork(goOn, leave) {
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
    stop: () => { latest += 1; },
    // The last answer, null where it was stopped or another has taken its place. begin() asks the server to begin.
    async run(begin, report) {
      const mine = ++latest;
      const mineDone = before.then(() => steps(mine, begin, report));
      before = mineDone.catch(() => null);
      const answer = await mineDone.catch((error) => {
        if (mine !== latest) return null; // nobody waits for it any more
        throw error;
      });
      return mine === latest ? answer : null;
    },
  };
}
