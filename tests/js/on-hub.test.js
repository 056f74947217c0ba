import assert from "node:assert/strict";
import test from "node:test";

import { describePrice, priceOf } from "../../app/components/on-hub/on-hub.js";
import { describeEnd } from "../../app/components/job/on-hub.js";
import { deletionOf, hasEnded, restOf, stateOf, stopOf } from "../../app/components/job/words.js";

const OFFER = { pauses: 0.1, preparing: 30 };

test("the most that a job can cost counts its pauses and its preparation", () => {
  assert.ok(Math.abs(priceOf(OFFER, 0.4, 60) - 0.64) < 1e-9);
  assert.equal(describePrice(OFFER, 0.4, 60), "60 minutes of training and at most 36 more to prepare and to finish, "
    + "at $0.40 an hour.");
  assert.match(describePrice(OFFER, 0.4, 1), /^1 minute of/);
});

test("a job on the visitor's account has not ended, and goes on there when it is deleted here", () => {
  const job = { state: "elsewhere", on_hub: {} };
  assert.equal(stateOf(job), "Training on your account");
  assert.equal(hasEnded(job), false);
  assert.match(deletionOf(job), /goes on and costs/);
  assert.match(deletionOf({ ...job, state: "finished" }), /permanently\? What is in your account/);
  assert.match(deletionOf({ state: "finished" }), /permanently\?$/);
});

test("a job that was ended on the hub is cancelled, and has no minutes left to continue", () => {
  const job = { state: "interrupted", on_hub: {}, minutes_left: 60, most_images: 0 };
  assert.equal(stateOf(job), "Cancelled");
  assert.equal(restOf(job), "");
  assert.match(restOf({ ...job, on_hub: null }), /^60 minutes left/);
});

test("a job on the hub says when it will have ended, with the day if that is far", () => {
  const ended = new Date(2026, 0, 2, 18, 5).getTime();
  const job = { state: "elsewhere", ended: ended / 1000 };
  assert.match(describeEnd(job, ended - 3600e3), /^It will have ended by \d+:05/);
  assert.match(describeEnd(job, ended - 20 * 3600e3), /Friday/);
  assert.equal(describeEnd({ ...job, state: "finished" }, ended), "");
});

test("the button that ends a job says what it keeps or skips", () => {
  assert.equal(stopOf({ state: "queued" }), "Leave the queue");
  assert.equal(stopOf({ state: "running", activity: "training" }), "Stop and keep");
  assert.equal(stopOf({ state: "running", activity: "fitting clarity", trained: true }), "Skip the rest");
});
