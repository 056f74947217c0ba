import assert from "node:assert/strict";
import test from "node:test";

import {
  checkLinkedFace, jobOfLink, linkTo, linkToJob, namesFaces, parseLinked, readLink, readWalk, writeWalk,
} from "../../app/components/shared/links.js";
import { recipeOfSeed } from "../../app/components/shared/recipes.js";

const PLACE = { origin: "https://example.org", pathname: "/below/a/path/" };
const MODEL = { model: "tiny", revision: "0123456789ab" };

test("a link leads to the page where it lies, and gives back what it names", () => {
  const face = recipeOfSeed(MODEL, 7);
  const link = linkTo("face", face, PLACE);
  assert.ok(link.startsWith("https://example.org/below/a/path/?face="));
  assert.deepEqual(readLink(new URL(link).search), { face, tray: "", walk: "" });
  assert.ok(namesFaces(new URL(link).search));
  assert.ok(!namesFaces("?__theme=dark"));
});

test("the key of a job stands behind the # alone", () => {
  const link = new URL(linkToJob("id.secret", PLACE));
  assert.equal(link.search, "");
  assert.equal(jobOfLink(link.hash), "id.secret");
  assert.equal(jobOfLink(""), "");
  assert.equal(jobOfLink("#settings"), "");
});

test("what is damaged is refused in words", () => {
  assert.throws(() => parseLinked("[", "tray"), /tray in this link.*cut short/);
  assert.throws(() => checkLinkedFace('{"seed":'), /face in this link.*cut short/);
  assert.throws(() => readWalk("[", 64), /film in this link.*cut short/);
  for (const walk of [7, null, {}, { faces: [] }, { faces: "ab" }, { ...MODEL, faces: [{ seed: 1 }] },
    { ...MODEL, faces: [{ seed: 1 }, { seed: "<img>" }] }, { faces: [{ seed: 1 }, { seed: 2 }] }]) {
    assert.throws(() => readWalk(JSON.stringify(walk), 64), /2 to 64 faces/, JSON.stringify(walk));
  }
  const many = Array.from({ length: 65 }, (_, seed) => ({ seed }));
  assert.throws(() => readWalk(JSON.stringify({ ...MODEL, faces: many }), 64), /2 to 64 faces/);
});

test("a walk in a link gives back its faces and settings", () => {
  const faces = [1, 2, 3].map((seed) => recipeOfSeed(MODEL, seed));
  const settings = { gap: 5, speed: 12, loop: false, easing: "smooth", side: 256 };
  const text = writeWalk(MODEL, faces, settings);
  const walk = readWalk(text, 64);
  assert.deepEqual(walk.faces.map((face) => JSON.parse(face)), faces.map((face) => JSON.parse(face)));
  for (const [name, value] of Object.entries(settings)) assert.equal(walk[name], value);
  assert.equal(text.split("tiny").length, 2); // the model is named once
});
