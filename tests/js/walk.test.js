import assert from "node:assert/strict";
import test from "node:test";

import {
  describeFrames, describeWalk, framesAsked, framesDrawn, gapOf, speedOf,
} from "../../app/components/explore/walk-settings.js";
import { EASINGS, TIMES } from "../../app/components/walk/easing.js";

const settings = (changes = {}) => ({ gap: "16", speed: "20", loop: true, easing: "linear", side: "256", ...changes });

test("fields out of range count as their nearest end, and empty ones as their default", () => {
  const gaps = { 16: 16, 1: 2, "-3": 2, 1e9: 120, "": 16, x: 16, 5.4: 5 };
  for (const [typed, gap] of Object.entries(gaps)) assert.equal(gapOf(settings({ gap: typed })), gap, typed);
  const speeds = { 20: 20, "-3": 1, 99: 60, "": 20, 0: 20 };
  for (const [typed, speed] of Object.entries(speeds)) assert.equal(speedOf(settings({ speed: typed })), speed, typed);
});

test("a loop has frames back to the first face, another walk ends on the last one", () => {
  assert.equal(framesAsked(3, settings({ gap: "6" })), 18);
  assert.equal(framesAsked(3, settings({ gap: "5", loop: false })), 11);
});

test("more frames than can be drawn are thinned, and that is said", () => {
  const long = settings({ gap: "120" });
  assert.equal(framesDrawn(3, long, 240), 240);
  assert.equal(describeFrames(3, long, 240), "240 of 360 frames");
  assert.match(describeWalk(3, long, 240, false), /240 of 360 frames.*thinned/);
  assert.equal(describeFrames(3, settings(), 240), "48 frames");
});

test("a walk says whose faces it goes through, and what it lacks", () => {
  assert.match(describeWalk(3, settings(), 240, true), /3 faces of the link/);
  assert.match(describeWalk(3, settings(), 240, false), /3 kept faces.*48 frames/);
  assert.match(describeWalk(1, settings(), 240, false), /two or more/);
});

test("times are those at which an easing has come so far", () => {
  for (const name of ["linear", "smooth"]) {
    for (const way of [0, 0.1, 0.5, 0.75, 1]) {
      assert.ok(Math.abs(EASINGS[name](TIMES[name](way)) - way) < 1e-9, `${name} ${way}`);
    }
  }
  assert.ok(EASINGS.smooth(0.1) < 0.1);
});
