import assert from "node:assert/strict";
import test from "node:test";

import {
  checkLinkedFace, failedSignIn, jobOfLink, linkTo, linkToJob, parseLinked, readLink,
} from "../../app/components/shared/links.js";
import { createSharing } from "../../app/components/core/sharing.js";
import { recipeOfSeed } from "../../app/components/shared/recipes.js";

const PLACE = { origin: "https://example.org", pathname: "/below/a/path/" };
const MODEL = { model: "tiny", revision: "0123456789ab" };

test("a link leads to the page where it lies, and gives back what it names", () => {
  const face = recipeOfSeed(MODEL, 7);
  const link = linkTo("face", face, PLACE);
  assert.ok(link.startsWith("https://example.org/below/a/path/?face="));
  assert.deepEqual(readLink(new URL(link).search), { face, tray: "", walk: "" });
  assert.deepEqual(readLink("?__theme=dark"), { face: "", tray: "", walk: "" });
});

test("the message for a sign-in that failed consists of the page's own words alone", () => {
  assert.match(failedSignIn("?sign-in=cancelled"), /not signed in.*cancelled/);
  assert.match(failedSignIn("?sign-in=failed"), /did not work/);
  for (const search of ["", "?face=1", "?sign-in=<b>", "?sign-in=constructor"]) assert.equal(failedSignIn(search), "");
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
});

test("what is said of a link names what it leads to, and who can open it", async (context) => {
  const said = [];
  let isPrivate = true;
  const core = { say: (words) => said.push(words), isPrivate: () => isPrivate, model: {} };
  const page = { location: PLACE, matchMedia: () => ({ matches: false }) };
  Object.assign(globalThis, page);
  context.after(() => { for (const name of Object.keys(page)) delete globalThis[name]; });
  const sharing = createSharing({ ...core, attempt: (work) => work() });
  const face = recipeOfSeed(MODEL, 7);
  const links = [
    [() => sharing.share(face), /the face .*PNG/], [() => sharing.copyTrayLink([face]), /the faces .*ZIP/],
    [() => sharing.copyLink("walk", "{}", [face]), /the film .*save it/],
  ];
  for (const [copy, words] of links) {
    isPrivate = true;
    await copy();
    assert.match(said.at(-1), words);
    assert.match(said.at(-1), /opens only in this browser/);
    isPrivate = false;
    await copy();
    assert.match(said.at(-1), /Anyone/);
  }
});
