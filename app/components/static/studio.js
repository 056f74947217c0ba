// What the page asks a server for elsewhere, answered in the browser: drawing, files and films.
import { writeFilm } from "../core/film-text.js";
import { bitmapOf, drawIn } from "../shared/workers.js";
import { asciiOf, base64Of } from "./encoding.js";
import { placesAmong } from "./frames.js";
import { createLongWorks } from "./long-works.js";
import { crc32 } from "./png.js";
import { record, recordableKinds, STOPPED } from "./recording.js";
import { zipOf } from "./zip.js";

const SHARP = 512; // px
const MOST_PATIENCE = 3000; // ms for a sharpened face; slower browsers keep the plain one on view
const TRIALS = 2; // before a browser counts as slow: the first one warms up
const SHARP_FRAMES = 60; // of a sharpened film, as on the server
const FIRST_NUMBERED = 2;
const TYPES = {
  ".png": "image/png", ".zip": "application/zip", ".mp4": "video/mp4", ".webm": "video/webm",
};
const NEEDS_SERVER = "This edition of the page runs in the browser alone and cannot do that.";

const suffixOf = (name) => name.slice(name.lastIndexOf("."));
const fileOf = (name, bytes) => ({ name, data: base64Of(bytes), type: TYPES[suffixOf(name)] });

/** A face's file name without its ending; the same as file_stem of ganime/drawing/recipe.py. */
function fileStem(text) {
  const { seed, toward, position, vector } = JSON.parse(text);
  if (vector) return `face-${seed}-edited-${crc32(new TextEncoder().encode(vector)).toString(16).padStart(8, "0")}`;
  return `face-${seed}${toward === undefined ? "" : `-${toward}-${Math.round(position * 100)}`}`;
}

/** The name of a face's file. */
export const faceName = (text) => `${fileStem(text)}.png`;

/** The names of faces in a ZIP; further faces of the same name are numbered: face-SEED-2.png. */
export function zipNames(texts) {
  const uses = new Map();
  return texts.map(fileStem).map((stem) => {
    const use = (uses.get(stem) || 0) + 1;
    uses.set(stem, use);
    return use < FIRST_NUMBERED ? `${stem}.png` : `${stem}-${use}.png`;
  });
}

/** A recipe whose picture was sharpened to a side, as Python writes it; last in a recipe, it is simply added. */
const withSharpened = (text, size) => (size ? `${text.slice(0, -1)}, "sharpened": ${size}}` : text);

/** The recipe of a film as its file has it; the same as ganime/drawing/film.py writes. */
export function filmRecipe(faces, frames, rate, loop, easing) {
  const legs = loop ? faces.length : Math.max(1, faces.length - 1);
  const seconds = Math.round(((frames - (loop ? 0 : 1)) / legs / rate) * 1000) / 1000;
  const film = JSON.parse(writeFilm({ faces, seconds, loop, easing }));
  return asciiOf(JSON.stringify({ ganime: "film", ...film }));
}

/**
 * Creates the upscaler in a separate worker, which starts when it is first needed.
 *
 * begin(part): starts a worker. now(): the time in ms.
 */
export function createSharpener(begin, now = () => performance.now()) {
  let worker = null;
  const times = []; // of faces on view

  function start() {
    worker = worker || begin("upscaler");
    return worker;
  }

  const enlarge = async (picture, size) => (await start()).call("enlarge", [picture, size]);
  const isSlow = () => times.length >= TRIALS && Math.min(...times) > MOST_PATIENCE;

  return {
    enlarge,
    /** The same for a face on view. Throws where this browser takes too long for it. */
    async view(picture) {
      if (isSlow()) throw new Error("Sharpening takes too long in this browser.");
      await start(); // loading does not count
      const begun = now();
      const large = await enlarge(picture, SHARP);
      times.push(now() - begun);
      return large;
    },
  };
}

/** The files that are saved. */
function createFiles(artist, sharpener) {
  /** Faces as PNG files, one after the other. */
  async function pngs(texts, size, report, isLeft = () => false) {
    const { recipes, pictures } = await artist.call("faces", [texts]);
    const files = [];
    for (const [index, picture] of pictures.entries()) {
      if (isLeft()) break;
      const shown = size ? await sharpener.enlarge(picture, size) : picture;
      files.push(await artist.call("png", [shown, withSharpened(recipes[index], size)]));
      report((index + 1) / pictures.length);
    }
    return { recipes, files };
  }

  /** Draws a film; of a sharpened one at most SHARP_FRAMES, between which pictures are mixed. */
  async function draw([faces, count, loop, easing, side], report, isLeft) {
    const places = placesAmong(count, side >= SHARP ? SHARP_FRAMES : count);
    const drawn = await artist.call("frames", [faces, count, loop, easing, places], (share) => report(share / 4));
    const pictures = [];
    for (const picture of drawn) {
      if (isLeft()) throw new Error(STOPPED);
      pictures.push(side >= SHARP && side > picture.side ? await sharpener.enlarge(picture, side) : picture);
      report(0.25 + pictures.length / drawn.length / 4);
    }
    return { pictures, places, count };
  }

  return {
    async face(text, size) {
      const { recipes: [recipe], files: [bytes] } = await pngs([text], size, () => {});
      return fileOf(faceName(recipe), bytes);
    },
    async zip(texts, size, report, isLeft) {
      const { recipes, files } = await pngs(texts, size, report, isLeft);
      const names = zipNames(recipes);
      return fileOf("faces.zip", zipOf(files.map((data, index) => ({ name: names[index], data }))));
    },
    async film([faces, frames, loop, easing, rate, suffix, side], report, isLeft) {
      const drawn = await draw([faces, frames, loop, easing, side], report, isLeft);
      const shown = side || drawn.pictures[0].side;
      const rest = (share) => report(0.5 + share / 2);
      if (suffix === ".png") {
        const recipe = filmRecipe(faces, frames, rate, loop, easing);
        return fileOf("film.png", await artist.call("apng", [drawn, shown, rate, recipe], rest));
      }
      const type = recordableKinds()[suffix];
      if (!type) throw new Error(`This browser cannot save ${suffix.slice(1)} films. Choose another kind.`);
      const bytes = await record(drawn, { side: shown, type, rate }, rest, isLeft);
      return fileOf(`film${suffix}`, bytes);
    },
  };
}

/** Server functions that answer with {error} where the work fails, as those of a server do. */
function asServer(functions) {
  const answers = Object.entries(functions).map(([name, act]) => [name, async (values) => {
    try {
      return await act(...values);
    } catch (error) {
      return { error: error.message };
    }
  }]);
  const refuse = async () => ({ error: NEEDS_SERVER });
  const isAwaited = (name) => name === "then"; // no function of a server
  return new Proxy(Object.fromEntries(answers), {
    get: (known, name) => known[name] || (isAwaited(name) ? undefined : refuse),
  });
}

/**
 * Creates {draw, server}, which stand for a server.
 *
 * artist: a worker that draws. begin(part): a promise of another one. model: what the page knows of the model.
 */
export function createStudio(artist, begin, model) {
  const sharpener = createSharpener(begin);
  const files = createFiles(artist, sharpener);
  const works = createLongWorks();

  return {
    /** As requestFaces in shared/face-requests.js, without a server. */
    async draw(tool, fields) {
      if (tool !== "sharp") return drawIn(artist, tool, fields);
      const { pixels, ...answer } = await artist.call("draw", [tool, fields]);
      const large = await sharpener.view({ side: answer.side, pixels });
      return { ...answer, picture: await bitmapOf(large.pixels, large.side) };
    },
    server: asServer({
      start_model: () => model,
      embedded_model: () => model,
      drawing_model: (recipe) => ({
        final: `${JSON.parse(recipe).model} drew this face. This page has only ${model.model}, so it cannot show it.`,
      }),
      own_sliders: async (_, name, amounts, own) => (
        { name, vector: await artist.call("ownSliders", [amounts, own]) }),
      own_faces: async (_, name, a, b) => ({ name, vector: await artist.call("ownFaces", [a, b]) }),
      face_file: (_, recipe, size) => files.face(recipe, size),
      zip_file: (_, recipes, size) => works.begin((report, isLeft) => files.zip(recipes, size, report, isLeft)),
      film: (_, ...film) => works.begin((report, isLeft) => files.film(film, report, isLeft)),
      ask: works.ask,
      leave: works.leave,
    }),
  };
}
