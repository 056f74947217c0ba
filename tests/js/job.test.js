import assert from "node:assert/strict";
import test from "node:test";

import { linePath } from "../../app/components/job/charts.js";
import { describeState, formatDuration, nameOf, paceOf, restOf } from "../../app/components/job/words.js";

const JOB = {
  state: "running", image_size: 64, faces: 1234, images: 5000, images_per_second: 9.04, seconds_left: 125, share: 0.4,
  wait: null,
};

test("a running job says what it does and how long it takes", () => {
  assert.equal(paceOf(JOB), "64 px · 1,234 pictures · 5,000 images seen · 9.0 images/s · 2 min left");
  assert.match(paceOf({ ...JOB, share: 0, images: 0 }), /preparing/);
  assert.doesNotMatch(paceOf({ ...JOB, state: "finished" }), /left/);
});

test("a job that waits says when it begins", () => {
  const queued = { ...JOB, state: "queued", seconds_left: null, images: 0, share: 0 };
  assert.match(paceOf({ ...queued, wait: 300 }), /begins in about 5 min/);
  assert.match(paceOf({ ...queued, wait: 0 }), /begins in a moment/);
  assert.match(describeState({ state: "queued", place: 2 }), /number 2/);
  assert.doesNotMatch(describeState({ state: "queued", place: 0 }), /number/);
});

test("an ended job says what is left, and nothing where it has come to its end", () => {
  assert.match(restOf({ minutes_left: 6.54, most_images: 0 }), /^6\.5 minutes left\./);
  assert.match(restOf({ minutes_left: 1, most_images: 900 }), /^1 minute left, up to 900 images\./);
  assert.match(restOf({ minutes_left: 14.6, most_images: 0 }), /^15 minutes left\./);
  assert.equal(restOf({ minutes_left: null, most_images: 0 }), "");
});

test("jobs without a name have one that says what they are", () => {
  assert.equal(nameOf({ name: "<b>mine</b>", state: "draft" }), "<b>mine</b>");
  assert.equal(nameOf({ state: "draft" }), "Uploaded faces");
  assert.equal(nameOf({}), "Unnamed");
});

test("durations are seconds at first and minutes from a minute and a half on", () => {
  assert.deepEqual([5.4, 89, 90, 3600].map(formatDuration), ["5 s", "89 s", "2 min", "60 min"]);
});

test("a line spans its chart and leaves out what is unknown", () => {
  const points = [[0, 1, null], [10, 3, 2], [20, 2, 2]];
  assert.equal(linePath(points, 1, [1, 3]), "M0.0 85.0L150.0 5.0L300.0 45.0");
  assert.equal(linePath(points, 2, [2, 2]), "M150.0 85.0L300.0 85.0");
  assert.equal(linePath([[0, null, 1]], 1, [0, 1]), "");
});
