import assert from "node:assert/strict";
import test from "node:test";

import { describePrice, priceOf } from "../../app/components/elsewhere/elsewhere.js";
import { deletionOf, hasEnded, stateOf } from "../../app/components/job/words.js";

const OFFER = { pauses: 0.1, preparing: 30 };

test("the most that a job can cost counts its pauses and its preparation", () => {
  assert.ok(Math.abs(priceOf(OFFER, 0.4, 60) - 0.64) < 1e-9);
  assert.equal(describePrice(OFFER, 0.4, 60), "60 minutes of training and at most 36 more to prepare and to finish, "
    + "at $0.40 an hour.");
  assert.match(describePrice(OFFER, 0.4, 1), /^1 minute of/);
});

test("a job on the visitor's account has not ended, and goes on there when it is deleted here", () => {
  const job = { state: "elsewhere", elsewhere: {} };
  assert.equal(stateOf(job), "Training on your account");
  assert.equal(hasEnded(job), false);
  assert.match(deletionOf(job), /goes on and costs/);
  assert.match(deletionOf({ ...job, state: "finished" }), /permanently\? What is in your account/);
  assert.match(deletionOf({ state: "finished" }), /permanently\?$/);
});
