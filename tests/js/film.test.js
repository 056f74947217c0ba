import assert from "node:assert/strict";
import test from "node:test";

import { nameOfFilm } from "../../app/components/interpolate/saving.js";
import { createReel } from "../../app/components/interpolate/reel.js";
import { withSide } from "../../app/components/core/sharing.js";
import { recipeOfFilm } from "../../app/components/core/film-files.js";
import { readFilm, readFilmLink, SETTINGS, settingsOf, writeFilm } from "../../app/components/core/film-text.js";
import { EASINGS, TIMES } from "../../app/components/interpolate/easing.js";
import { moved } from "../../app/components/shared/lists.js";
import {
  countLegs, describeRest, describeSeconds, framesOf, placeOf, stepsOf, timeOf,
} from "../../app/components/interpolate/route.js";
import { recipeOfSeed } from "../../app/components/shared/recipes.js";

const MODEL = { model: "tiny", revision: "0123456789ab" };
const OTHER = { model: "else", revision: "ffffffffffff" };
const objects = (recipes) => recipes.map((recipe) => JSON.parse(recipe));

test("a film as text gives back its faces, of several models, and its settings", () => {
  const faces = [recipeOfSeed(MODEL, 1), recipeOfSeed(OTHER, 2), recipeOfSeed({ ...MODEL, clarity: 0.7 }, 3)];
  const film = { faces, seconds: 1.5, loop: false, easing: "linear", side: 512 };
  const text = writeFilm(film);
  const read = readFilm(text, 64);
  assert.deepEqual(objects(read.faces), objects(faces));
  assert.deepEqual({ ...read, faces: [] }, { ...film, faces: [] });
  assert.equal(text.split("tiny").length, 2); // a model that faces share is named once
});

test("a film's file has the seeds of its faces in its name, and its side where that is large", () => {
  const faces = [3, 1, 4, 1, 5, 9].map((seed) => recipeOfSeed(MODEL, seed));
  assert.equal(nameOfFilm(faces.slice(0, 4)), "film-3-1-4-1");
  assert.equal(nameOfFilm(faces), "film-3-1-4-1-and-2-more");
  assert.equal(withSide("face-7.png", 512), "face-7-512px.png");
  assert.equal(withSide("face-7.png", 0), "face-7.png");
});

test("the rest of a film is estimated from what has been done", () => {
  assert.equal(describeRest(0.8, 0.1, 2), ""); // too little to tell
  assert.equal(describeRest(0.5, 0.4, 40), "about 50 s left");
  assert.equal(describeRest(0.8, 0.1, 20), "about 3 min left");
  assert.equal(describeRest(0.02, 0.8, 60), "a few seconds left");
});

test("settings that cannot be used get their default, and those of earlier links count", () => {
  assert.deepEqual(settingsOf({ seconds: "fast", loop: "yes", easing: "bumpy", side: 7 }), SETTINGS);
  assert.deepEqual(settingsOf({}), SETTINGS);
  assert.equal(settingsOf({ gap: 30, speed: 20 }).seconds, 1.5);
  assert.equal(settingsOf({ seconds: 1e9 }).seconds, 10);
  assert.equal(settingsOf({ seconds: -1 }).seconds, SETTINGS.seconds);
});

test("what is no film is refused, in a link in words", () => {
  const bad = ["[", "7", "null", "{}", '{"faces":[]}', '{"faces":"ab"}', '{"faces":[{"seed":1},{"seed":2}]}',
    JSON.stringify({ ...MODEL, faces: [{ seed: 1 }] }),
    JSON.stringify({ ...MODEL, faces: [{ seed: 1 }, { seed: "x" }] }),
    JSON.stringify({ ...MODEL, faces: Array.from({ length: 65 }, (_, seed) => ({ seed })) })];
  for (const text of bad) {
    assert.equal(readFilm(text, 64), null, text);
    assert.throws(() => readFilmLink(text, 64), /2 to 64 faces.*cut short/, text);
  }
});

test("times and places of a film are each other's inverse, for every pace", () => {
  for (const name of ["linear", "smooth"]) {
    for (const way of [0, 0.1, 0.5, 0.75, 1]) {
      assert.ok(Math.abs(EASINGS[name](TIMES[name](way)) - way) < 1e-9, `${name} ${way}`);
    }
    for (const place of [0, 3.5, 14, 20, 27.9]) {
      assert.ok(Math.abs(placeOf(timeOf(place, 14, name), 14, name) - place) < 1e-9, `${name} ${place}`);
    }
  }
  assert.ok(EASINGS.smooth(0.1) < 0.1);
});

test("a loop has a way back to the first face, and many faces have fewer drawn frames between them", () => {
  assert.deepEqual([0, 1, 2, 5].map((faces) => countLegs(faces, true)), [0, 0, 2, 5]);
  assert.deepEqual([0, 1, 2, 5].map((faces) => countLegs(faces, false)), [0, 0, 1, 4]);
  assert.equal(stepsOf(2), 14);
  assert.ok(64 * stepsOf(64) <= 280);
  assert.ok(stepsOf(0) > 0);
});

test("a saved film lasts as long as the one on view; a long one has fewer frames in a second", () => {
  assert.deepEqual(framesOf(3, { seconds: 2, loop: true }, 600), { frames: 144, rate: 24 });
  assert.deepEqual(framesOf(1, { seconds: 2, loop: false }, 600), { frames: 49, rate: 24 });
  assert.deepEqual(framesOf(10, { seconds: 6, loop: true }, 600), { frames: 600, rate: 10 });
  assert.equal(framesOf(64, { seconds: 10, loop: true }, 60).rate, 1);
  assert.equal(describeSeconds(4.25), "4.3 s");
  assert.equal(describeSeconds(128), "2 min 8 s");
});

test("a face is moved to another place", () => {
  assert.deepEqual(moved(["a", "b", "c"], 0, 2), ["b", "c", "a"]);
  assert.deepEqual(moved(["a", "b", "c"], 2, 1), ["a", "c", "b"]);
});

const bytes = (...parts) => new Uint8Array(Buffer.concat(parts.map((part) => (
  typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part)))));

test("the recipe of a film is read from a GIF, a WebP and an MP4", () => {
  const recipe = JSON.stringify({ ganime: "film", ...MODEL, faces: Array(20).fill({ seed: 123456 }) });
  const blocks = recipe.match(/.{1,255}/g).flatMap((part) => [[part.length], part]);
  const gif = bytes("GIF89a", [1, 0, 1, 0, 0x80, 0, 0], Array(6).fill(9), [0x21, 0xff, 2], "ab", [0], [0x21, 0xfe],
    ...blocks, [0], [0x3b]);
  assert.equal(recipeOfFilm(gif), recipe);
  const exif = `II*\0\x08\0\0\0${recipe}\0`;
  const size = [exif.length & 255, exif.length >> 8, 0, 0];
  const webp = bytes("RIFF", [0, 0, 0, 0], "WEBP", "VP8X", [1, 0, 0, 0, 7, 0], "EXIF", size, exif);
  assert.equal(recipeOfFilm(webp), recipe);
  const [box, data] = [recipe.length + 24, recipe.length + 16].map((length) => [0, 0, length >> 8, length & 255]);
  const mp4 = bytes([0, 0, 0, 24], "ftypisom", Array(12).fill(0), box, "\xa9cmt", data, "data", Array(8).fill(0),
    recipe, "more");
  assert.equal(recipeOfFilm(mp4), recipe);
});

test("other files and damaged ones hold no recipe of a film", () => {
  for (const file of ["", "GIF8", "GIF89a", "RIFFxxxxWEBP", "RIFF", "xxxxftyp", "xxxxftyp\xa9cmt", "no film at all"]) {
    assert.equal(recipeOfFilm(bytes(file)), "", file);
  }
});

test("a place is drawn once its leg is, and is the nearest face until then; the way back is no new leg", async () => {
  const faces = [recipeOfSeed(MODEL, 1), recipeOfSeed(MODEL, 2)];
  const pictures = new Map(faces.map((face) => [face, `picture of ${face}`]));
  let answer;
  const asked = [];
  const drawing = {
    between(a, b, steps) {
      asked.push(steps);
      return new Promise((resolve) => { answer = resolve; });
    },
  };
  const arrived = [];
  const core = { pictures, drawing, isOfModel: () => true, attempt: (work) => work() };
  const reel = createReel(core, () => arrived.push(reel.isDrawn(1)));
  reel.load({ faces, loop: true });
  const steps = reel.steps();
  const done = reel.want(0);
  assert.deepEqual([reel.end(), reel.isDrawn(1), reel.recipeAt(1)], [2 * steps, false, faces[0]]);
  answer(Array.from({ length: steps - 1 }, (_, index) => `frame ${index + 1}`));
  await done;
  assert.deepEqual([arrived, asked], [[true], [steps]]);
  assert.deepEqual([reel.recipeAt(1), reel.recipeAt(2 * steps - 1)], ["frame 1", "frame 1"]);
});
