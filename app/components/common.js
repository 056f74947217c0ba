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

// What the server answers to a call. Throws, in words, what it refuses and that it does not answer.
async function answerOf(call) {
  const answer = await call().catch(() => null);
  if (!answer) throw new Error("The server does not answer. Try again.");
  if (answer.missing) trigger("gone", {}); // the model in use may have been deleted with its job
  if (answer.error) throw new Error(answer.error);
  return answer;
}

async function fetchFile(button, call) {
  button.disabled = true;
  $(".status").textContent = "Preparing the file…";
  try {
    const answer = await answerOf(call);
    download(answer);
    $(".status").textContent = `Saved ${answer.name}`;
  } catch (error) {
    $(".status").textContent = error.message;
  } finally {
    button.disabled = false;
  }
}

// Has the server draw what props.value = {key, asked} asks for, now and whenever it changes, and shows it by show(answer);
// `part` is busy meanwhile. One question at a time; of those that come meanwhile the last one counts.
function live(part, show) {
  let [running, waiting] = [false, null];
  async function ask() {
    const { key, asked } = props.value || {};
    if (!key || !asked || asked.includes(null)) return; // null: a field that somebody is about to fill
    waiting = [key, ...asked];
    if (running) return;
    running = true;
    $(part).setAttribute("aria-busy", "true");
    try {
      while (waiting) {
        const question = waiting;
        waiting = null;
        const answer = await server.draw(question).catch(() => null);
        if (answer?.missing) trigger("gone", {});
        await show(answer || { error: "The server does not answer. Try again." });
      }
    } finally {
      $(part).setAttribute("aria-busy", "false");
      running = false;
    }
  }
  watch("value", ask);
  ask();
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
