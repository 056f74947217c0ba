// The worker that draws, so that the page stays smooth. It answers messages {id, action, values} with {id, result} or
// {id, error}, and with {id, progress} before that.
import { createArtist } from "./artist.js";
import { download, numbersOf } from "./downloads.js";
import { halvesOf } from "./encoding.js";
import { allFrames } from "./frames.js";
import { createPainter, createUpscaler } from "./networks.js";
import { apngOf, pngOf } from "./png.js";
import { resized } from "./resizing.js";

const COLUMNS = 8; // of a sheet
const LAYERS = [0, 1, 2]; // of the network that predicts clarity

/** Rows of equal length. */
const rowsOf = (numbers, dim) => Array.from({ length: numbers.length / dim }, (_, row) => (
  numbers.subarray(row * dim, (row + 1) * dim)));

/** What the artist needs to know. about: of model.json; numbers: by name. */
function artistOf({ model, artist }, numbers) {
  const { dim, names, locks, clarity, limits } = artist;
  const vectors = rowsOf(numbers.directions || new Float32Array(), dim);
  return createArtist({
    ...model,
    dim,
    locks,
    limits,
    directions: Object.fromEntries(names.map((name, index) => [name, Float32Array.from(vectors[index])])),
    clarity: clarity && {
      weights: LAYERS.map((layer) => Float64Array.from(numbers[`weight${layer}`])),
      biases: LAYERS.map((layer) => Float64Array.from(numbers[`bias${layer}`])),
      held: rowsOf(Float64Array.from(numbers.held), dim),
      quantiles: Float64Array.from(numbers.quantiles),
    },
  });
}

/** Puts faces beside each other, in rows; returns the answer that core/pictures.js takes apart. */
function sheetOf(recipes, faces) {
  const [{ side }] = faces;
  const columns = Math.min(COLUMNS, faces.length);
  const width = columns * side;
  const pixels = new Uint8ClampedArray(4 * width * side * Math.ceil(faces.length / columns));
  faces.forEach((face, index) => {
    const left = (index % columns) * side;
    const top = Math.floor(index / columns) * side;
    for (let row = 0; row < side; row += 1) {
      pixels.set(face.pixels.subarray(4 * row * side, 4 * (row + 1) * side), 4 * ((top + row) * width + left));
    }
  });
  return { recipes, columns, side, width, pixels };
}

/** Loads what a worker needs and returns its actions. base: address of the page; parts: "generator" or "upscaler". */
async function start({ base, about, part }, report) {
  const urlOf = (name) => new URL(about.files[name].path, base).href;
  let [arrived, whole] = [0, 0];
  const load = (name) => {
    whole += about.files[name].bytes;
    return download(about.cache, urlOf(name), (bytes) => {
      arrived += bytes;
      report({ arrived, whole });
    });
  };
  const loading = ["wasm", part, ...(part === "generator" ? ["numbers"] : [])].map(load);
  const [wasm, network, numbers] = await Promise.all(loading);
  const ort = await import(urlOf("runtime"));
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: wasm });
  ort.env.logLevel = "error";
  return part === "generator"
    ? drawingActions(artistOf(about, numbersOf(numbers, about.numbers, halvesOf)), await createPainter(ort, network))
    : { enlarge: await createUpscaler(ort, network) };
}

function drawingActions(artist, paint) {
  async function faces(recipes, report) {
    return { recipes: recipes.map(artist.write), pictures: await paint(recipes.map(artist.latentOf), report) };
  }

  return {
    /** Draws with a tool of the page. */
    async draw(tool, fields) {
      const { recipes, pictures } = await faces(artist.tools[tool](fields));
      return sheetOf(recipes, pictures);
    },
    /** Faces one by one, with their recipes. */
    faces: (texts, report) => faces(artist.tools.draw({ recipes: texts }), report),
    /** The frames of a film at some places among them. */
    frames: (texts, frames, loop, easing, places, report) => (
      paint(artist.path(texts, frames, loop, easing, places), report)),
    ownSliders: (amounts, own) => artist.tools.ownSliders(amounts, own),
    ownFaces: (a, b) => artist.tools.ownFaces(a, b),
    png: pngOf,
    /** A film as an animated PNG. */
    apng: (film, side, rate, recipe, report) => (
      apngOf(allFrames(film).map((picture) => resized(picture, side)), rate, recipe, report)),
  };
}

/** The memory of pictures in a result, which is handed over without a copy. */
function buffersOf(result) {
  const pictures = Array.isArray(result) ? result : result?.pictures || [result];
  const buffers = pictures.map((picture) => (picture?.pixels || picture)?.buffer);
  return buffers.filter((buffer) => buffer instanceof ArrayBuffer);
}

/** Answers the messages of a port. */
export function serve(port) {
  const actions = {
    async start(options, report) {
      Object.assign(actions, await start(options, report));
    },
  };
  port.addEventListener("message", async ({ data: { id, action, values } }) => {
    const report = (progress) => port.postMessage({ id, progress });
    try {
      const result = await actions[action](...values, report);
      port.postMessage({ id, result }, buffersOf(result));
    } catch (error) {
      port.postMessage({ id, error: error.message || String(error) });
    }
  });
}

if (typeof WorkerGlobalScope !== "undefined") serve(globalThis);
