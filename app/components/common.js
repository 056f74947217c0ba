// Stands before the code of every component: `$` finds parts of it, `fetchFile` turns an answer of the server into a file.
const $ = (selector) => element.querySelector(selector);

function download({ name, data, type }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function fetchFile(button, call) {
  button.disabled = true;
  $(".status").textContent = "Preparing the file…";
  try {
    const answer = await call();
    if (!answer) throw new Error("The server does not answer. Try again.");
    if (answer.error) throw new Error(answer.error);
    download(answer);
    $(".status").textContent = `Saved ${answer.name}`;
  } catch (error) {
    $(".status").textContent = error.message || "The download failed. Try again.";
  } finally {
    button.disabled = false;
  }
}

// Answers questions one at a time; of those that come meanwhile the last one counts.
function lastOf(work) {
  let running = false;
  let waiting = null;
  return async function ask(question) {
    waiting = { question };
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const { question: now } = waiting;
        waiting = null;
        await work(now);
      }
    } finally {
      running = false;
    }
  };
}

// Plays at the rate at which the display draws. step(seconds): what has gone by since the last picture. Stands still while
// it is not to be seen.
function player(step, ended) {
  let request = 0;
  let before = null;
  function turn(now) {
    if (!element.isConnected) return stop();
    request = requestAnimationFrame(turn);
    const seconds = before === null ? 0 : (now - before) / 1000;
    before = now;
    return element.offsetParent === null ? undefined : step(seconds);
  }
  function stop() {
    if (request) ended();
    cancelAnimationFrame(request);
    [request, before] = [0, null];
  }
  const start = () => { request = request || requestAnimationFrame(turn); };
  return { start, stop, playing: () => request !== 0 };
}

const stillness = matchMedia("(prefers-reduced-motion: reduce)"); // nothing moves then but what a visitor has started
