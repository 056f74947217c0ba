// Hands drawing over from the server to the visitor's browser, once that has shown in a trial that it can.
import { requestFaces } from "../shared/face-requests.js";
import { createListeners } from "../shared/listeners.js";
import { createWorker, drawIn } from "../shared/workers.js";

const ENOUGH = 3; // requests of a visitor who has touched the page: a second roll, or a slider that is moved
const MOST_DIFFERENCE = 2; // of 255 levels, between a pixel of the browser and of the server
const QUICK = 8; // ms for a face, with which a roll of 16 feels immediate
const RECENT = 5; // answers of the server that all have to be slower than the browser before that is tried again
const MOST_TRIALS = 3; // each takes the visitor's processor for some seconds
const PATIENCE = 60_000; // ms for an answer; a worker that lacks memory may end without a word
const SLOW = ["slow-2g", "2g", "3g"]; // connections, as browsers name them

/** Whether a visitor's connection suits the 12 MB that draw the embedded model's faces. */
export const isLoadingWelcome = ({ connection } = navigator) => (
  !connection?.saveData && !SLOW.includes(connection?.effectiveType));

const isVisitorActive = () => Boolean(navigator.userActivation?.hasBeenActive);
const idle = () => new Promise((resolve) => { (globalThis.requestIdleCallback || setTimeout)(resolve); });

/** The same promise, which fails where it takes too long. */
async function inTime(promise) {
  let timer = 0;
  const late = new Promise((_, reject) => { timer = setTimeout(reject, PATIENCE, new Error("There is no answer.")); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The largest difference between RGBA pictures and their RGB pixels, one picture after the other. */
export function differenceOf(pictures, expected) {
  let [largest, at] = [0, 0];
  for (const { pixels } of pictures) {
    for (let place = 0; place < pixels.length; place += 1) {
      if (place % 4 === 3) continue; // opaque
      largest = Math.max(largest, Math.abs(pixels[place] - expected[at]));
      at += 1;
    }
  }
  return at === expected.length ? largest : Infinity;
}

/**
 * Loads what draws the faces of the start model; null where the server offers nothing, see app/static/browser_files.py.
 *
 * Returns {draw(tool, fields), difference(), end()}: faces as from requestFaces, and the largest difference from the
 * server's pixels in levels of 255.
 */
async function loadArtist() {
  const base = new URL("ganime/browser/", document.baseURI).href;
  const response = await fetch(new URL("model.json", base));
  if (response.status !== 200) return null;
  const about = await response.json();
  const urlOf = (name) => new URL(about.files[name].path, base);
  const worker = createWorker(urlOf("worker"));
  try {
    await worker.call("start", [{ base, about, part: "generator" }]);
  } catch (error) {
    worker.end();
    throw error;
  }
  return {
    draw: (tool, fields) => drawIn(worker, tool, fields),
    async difference() {
      const expected = await (await fetch(urlOf("trial"))).arrayBuffer();
      const { pictures } = await worker.call("faces", [about.trial]);
      return differenceOf(pictures, new Uint8Array(expected));
    },
    end: worker.end,
  };
}

/**
 * Milliseconds that an artist takes, by tool as samples are. Throws an Error unless it draws what the server has drawn.
 *
 * samples: {tool, fields, recipes, milliseconds}, the server's answers.
 */
async function check(artist, samples, now) {
  const difference = await inTime(artist.difference());
  if (!(difference <= MOST_DIFFERENCE)) throw new Error(`pixels differ by ${difference}`);
  const taken = new Map();
  for (const { tool, fields, recipes } of samples) {
    await inTime(artist.draw(tool, fields)); // warms up
    const begun = now();
    const drawn = await inTime(artist.draw(tool, fields));
    taken.set(tool, { recipes, milliseconds: now() - begun });
    if (drawn.recipes.join() !== recipes.join()) throw new Error(`the tool ${tool} gives other recipes`);
  }
  return taken;
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const facesIn = (samples) => sum(samples.map(({ recipes }) => recipes.length));
const paceOf = (samples) => sum(samples.map(({ milliseconds }) => milliseconds)) / facesIn(samples);

/**
 * Creates a function that notes what the server has drawn, and begins a trial of the browser once there is a reason:
 * a visitor who plays and, after a trial in which the browser was too slow, a server that has become slower than it.
 *
 * onPassed(artist): called once a trial has been passed. Returns note(sample), see check.
 */
function createTrials(onPassed, { load, isWelcome, isActive, now }) {
  const samples = new Map(); // by tool, the latest answer of the server
  let recent = []; // the last answers, of whatever tool
  let asked = 0; // requests of the visitor
  let trials = 0;
  let isOver = false; // while a trial runs, and for good unless the browser was merely too slow
  let taken = new Map(); // what the browser took in a trial, by tool

  async function tryOut() {
    await idle();
    const artist = await load();
    if (!artist) return;
    const compared = [...samples.values()];
    try {
      taken = await check(artist, compared, now);
    } catch (error) {
      artist.end();
      throw error;
    }
    const most = Math.max(paceOf(compared), QUICK);
    const pace = paceOf([...taken.values()]);
    if (pace <= most) return onPassed(artist);
    artist.end();
    recent = [];
    isOver = trials >= MOST_TRIALS;
    throw new Error(`a face takes ${Math.round(pace)} ms, at most ${Math.round(most)} are welcome`);
  }

  const isSlower = (sample) => taken.has(sample.tool) && paceOf([sample]) > paceOf([taken.get(sample.tool)]);
  const isBusy = () => recent.length === RECENT && recent.every(isSlower);

  return (sample) => {
    samples.set(sample.tool, sample);
    recent = [...recent, sample].slice(-RECENT);
    asked += isActive() ? 1 : 0;
    if (isOver || asked < ENOUGH || !isWelcome() || (trials && !isBusy())) return;
    isOver = true;
    trials += 1;
    tryOut().catch((error) => console.info(`The server draws all faces: ${error.message}.`));
  };
}

/**
 * Creates {request, isHere, onChange}. request(tool, fields, waiting): draws as requestFaces does, on the server until
 * the visitor has drawn something, and in the browser once that has passed a trial. Where the browser fails, the server
 * answers, and all later requests, too.
 *
 * key: of the start model, the only one that browsers draw.
 */
export function createHandover(key, {
  server = requestFaces, load = loadArtist, isWelcome = isLoadingWelcome, isActive = isVisitorActive,
  now = () => performance.now(),
} = {}) {
  const changed = createListeners();
  let artist = null;

  function hand(to) {
    artist = to;
    changed.tell();
  }

  const note = createTrials(hand, { load, isWelcome, isActive, now });

  async function served(tool, fields, waiting) {
    const start = now();
    const answer = await server(tool, fields, waiting);
    const isSample = fields.key === key && tool !== "sharp";
    if (isSample) note({ tool, fields, recipes: answer.recipes, milliseconds: now() - start });
    return answer;
  }

  return {
    async request(tool, fields, waiting) {
      const mine = artist;
      if (!mine || fields.key !== key || tool === "sharp") return served(tool, fields, waiting);
      try {
        return await inTime(mine.draw(tool, fields));
      } catch {
        const answer = await served(tool, fields, waiting); // which throws what is wrong with the request
        if (artist === mine) hand(null);
        mine.end();
        return answer;
      }
    },
    /** Whether the browser draws the faces of a model now. */
    isHere: (model) => artist !== null && model.key === key,
    /** Called whenever that changes. */
    onChange: changed.on,
  };
}
