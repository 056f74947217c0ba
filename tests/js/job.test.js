import assert from "node:assert/strict";
import test from "node:test";

import { linePath, ticksOf } from "../../app/components/job/charts.js";
import { createNotifying } from "../../app/components/job/notify.js";
import { hasPicture, removePicture, showPicture } from "../../app/components/job/pictures.js";
import { createSamples, nameOfSample } from "../../app/components/job/samples.js";
import {
  bringsOf, canBeFinished, canSave, describeState, formatDuration, nameOf, paceOf, planOf, reasonOf, restOf, resumeOf,
  shareOf, stateOf, stopOf, triesOf,
} from "../../app/components/job/words.js";

const JOB = {
  state: "running", activity: "training", activity_share: null, image_size: 64, faces: 1234, images: 5000,
  images_per_second: 9.04, seconds_left: 125, share: 0.4, wait: null, trained: false,
};

test("a running job says what it does and how long it takes", () => {
  assert.equal(paceOf(JOB), "64\u00a0px · 1,234 faces · 5,000 images seen · 9\u00a0images/s");
  for (const [rate, words] of [[8.13, "8.1"], [17.4, "17"], [123.4, "120"]]) {
    assert.match(paceOf({ ...JOB, images_per_second: rate }), new RegExp(`· ${words}\u00a0images/s$`));
  }
  assert.equal(describeState(JOB), "Training");
  assert.equal(describeState({ ...JOB, activity: "reading" }), "Reading 1,234 faces");
  assert.equal(describeState({ ...JOB, activity: "sampling" }), "Drawing the first sample");
});

test("a running job says what comes before, during and after its minutes of training", () => {
  const early = { ...JOB, activity: "measuring", images: 0, images_per_second: 0, seconds_left: 300 };
  const rest = "to measure the model and fit its sliders.";
  assert.equal(planOf(early),
    `Step 1 of 5: measuring the faces. Then about 5\u00a0min of training, and some minutes ${rest}`);
  assert.match(planOf({ ...early, activity: "reading" }), /^Step 1 of 5: reading 1,234 faces\. Then/);
  assert.equal(planOf({ ...JOB, after: 60 }),
    `Step 2 of 5: training, about 2\u00a0min left. Then about 60\u00a0s ${rest} About 3\u00a0min left in all.`);
  for (const left of [0, 1]) { // which may stand for longer
    assert.equal(planOf({ ...JOB, after: 60, seconds_left: left }),
      `Step 2 of 5: training, which is ending. Then about 60\u00a0s ${rest}`);
  }
  assert.equal(planOf({ ...JOB, activity: "reading", trained: true }), // for its sliders alone
    "Reading 1,234 faces. Training is done. The rest takes some minutes.");
  assert.equal(planOf({ ...JOB, state: "finished" }), "");
});

test("a job that trains no more says which step it is at, and what is left as far as that is known", () => {
  const trained = { ...JOB, trained: true };
  const says = (activity, now, later) => planOf({ ...trained, activity, ending: { now, later } });
  assert.equal(says("measuring", 10, 50),
    "Step 3 of 5: measuring and saving the model. Training is done. About 60\u00a0s left.");
  assert.match(says("saving", 1, 2), /^Step 3/);
  assert.match(says("fitting clarity", 40, null), /^Step 4 of 5: fitting its clar.*40\u00a0s left of this step\.$/);
  assert.match(says("fitting clarity", null, 40), /After this step, about 40\u00a0s more\.$/);
  assert.match(says("fitting clarity", null, null), /some minutes/);
  assert.match(says("checking sliders", null, 0), /This is the last step\.$/);
  assert.match(says("checking sliders", 20, 0), /^Step 5 of 5: fitting its sliders\..*About 20\u00a0s left\.$/);
  assert.match(planOf({ ...JOB, activity: "measuring" }), /^Step 2 of 5: training, about 2\u00a0min left/);
});

test("nothing says that a job trains once its training is done, not even while it is measured at last", () => {
  for (const activity of ["measuring", "saving", "fitting clarity", "checking sliders"]) {
    const job = { ...JOB, activity, trained: true };
    assert.doesNotMatch(paceOf(job), /images\/s/);
    assert.equal(stopOf(job), "Skip the rest");
    assert.match(triesOf(job), /^You can try it now\. .* follow once they are fitted\.$/);
    assert.equal(canSave(job), false);
  }
  assert.doesNotMatch(stateOf(JOB), /Training/); // on a job's button, which stays as it is until the job ends
  const measured = { ...JOB, activity: "measuring" };
  assert.match(paceOf(measured), /images\/s/);
  assert.equal(stopOf(measured), "Stop and keep");
  assert.equal(canSave(measured), true);
  assert.equal(canSave({ ...JOB, activity: "reading" }), false);
});

test("a notification comes once, when a job that was asked for has ended", async () => {
  const [shown, said] = [[], []];
  class Notification {
    static requestPermission = async () => "granted";
    constructor(title, { body }) { shown.push([title, body]); }
  }
  const notifying = createNotifying((words) => said.push(words), Notification);
  assert.ok(notifying.canAsk("k", JOB));
  await notifying.ask("k");
  assert.ok(notifying.isWaiting() && !notifying.canAsk("k", JOB));
  const ended = { ...JOB, name: "Mine", state: "failed", reason: "The disk is full." };
  for (const [key, job] of [["k", JOB], ["other", ended], ["k", ended], ["k", ended]]) notifying.update(key, job);
  assert.deepEqual(shown, [["Mine: Failed", "The disk is full."]]);
  assert.ok(!notifying.isWaiting() && !notifying.canAsk("k", ended));
  assert.match(said[0], /notification/);
});

test("a browser without notifications, or that forbids them, is not waited for", async () => {
  assert.ok(!createNotifying(() => {}, undefined).canAsk("k", JOB));
  const said = [];
  const notifying = createNotifying((words) => said.push(words), { requestPermission: async () => "denied" });
  await notifying.ask("k");
  assert.ok(!notifying.isWaiting());
  assert.match(said[0], /does not allow/);
});

test("a bar is full by the share of what is done now, and only moves where that is unknown", () => {
  assert.equal(shareOf(JOB), 0.4);
  for (const changes of [{ activity: "reading" }, { activity: "measuring" }, { share: 0 }, { state: "stopping" }]) {
    assert.equal(shareOf({ ...JOB, ...changes }), null);
  }
  assert.equal(shareOf({ ...JOB, activity: "checking sliders", activity_share: 0.1 }), 0.1);
});

test("a job that was stopped has not finished, and does not say so twice", () => {
  const stopped = { state: "finished", stopped: true, reason: "Stopped." };
  assert.equal(stateOf(stopped), "Stopped");
  assert.equal(reasonOf(stopped), "");
  assert.equal(reasonOf({ ...stopped, reason: "Stopped by this page." }), "Stopped by this page.");
  assert.equal(stateOf({ state: "finished", stopped: false, reason: "" }), "Finished");
});

test("a model says what it brings, and one that lacks it can be finished", () => {
  assert.match(triesOf({ activity: "training" }), /trains on/);
  for (const trained of [true, false]) assert.equal(triesOf({ state: "stopping", trained }), "You can try it now.");
  const all = "It brings clear faces, 23 named sliders and the check for copies.";
  assert.equal(bringsOf({ has_clarity: true, sliders: 23 }), all);
  assert.equal(bringsOf({ has_clarity: false, sliders: 1 }), "It brings 1 named slider and the check for copies.");
  assert.equal(bringsOf({ has_clarity: false, sliders: 0 }), "It brings the check for copies.");
  const ended = { state: "finished", has_model: true, can_resume: true, saved: 64, sliders: 0, has_clarity: false };
  assert.equal(canBeFinished(ended), true);
  for (const changes of [{ sliders: 2 }, { has_clarity: true }, { saved: 0 }, { can_resume: false }]) {
    assert.equal(canBeFinished({ ...ended, ...changes }), false);
  }
});

test("a job that waits says when it begins", () => {
  const queued = { ...JOB, state: "queued", seconds_left: null, images: 0, share: 0 };
  assert.match(paceOf({ ...queued, wait: 300 }), /begins in about 5\u00a0min/);
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
  assert.deepEqual([5.4, 89, 90, 3600].map(formatDuration), ["5\u00a0s", "89\u00a0s", "2\u00a0min", "60\u00a0min"]);
});

test("a scale contains 0, its ticks are round, and it reaches beyond what it shows", () => {
  assert.deepEqual(ticksOf(92.4, 168.5), [0, 50, 100, 150, 200]);
  assert.deepEqual(ticksOf(0.4, 1.9), [0, 0.5, 1, 1.5, 2]);
  assert.deepEqual(ticksOf(-0.3, 0.8), [-0.5, 0, 0.5, 1]);
  assert.deepEqual(ticksOf(3650.5, 3650.5), [0, 1000, 2000, 3000, 4000]);
});

test("a line spans its chart, stands on 0 and leaves out what is unknown", () => {
  const points = [[0, 1, null], [10, 4, 2], [20, 2, 2]];
  assert.equal(linePath(points, 1, [0, 2, 4]), "M46.0 122.5L227.0 10.0L408.0 85.0");
  assert.equal(linePath(points, 2, [0, 2, 4]), "M227.0 85.0L408.0 85.0");
  assert.equal(linePath([[0, null, 1]], 1, [0, 1]), "");
});

test("a job of which nothing is saved starts again", () => {
  assert.deepEqual([{ saved: 64 }, { saved: 0 }, { saved: 0, on_hub: {} }].map(resumeOf),
    ["Continue", "Start again", "Train here instead"]);
});

test("the first sample of a run is the start", () => {
  assert.equal(nameOfSample(0, 0, 5), "Sample 1 of 5, before the first step");
  assert.equal(nameOfSample(1200, 2, 5), "Sample 3 of 5, after 1,200 images");
});

/** Stands for an image element. */
class Picture {
  dataset = {};
  hasAttribute(name) { return name in this; }
  removeAttribute(name) { delete this[name]; }
}

test("a picture that did not come is asked for again, and one that came is not", async () => {
  const [image, answers] = [new Picture(), [null, { error: "Busy." }, { url: "a.webp" }]];
  let asked = 0;
  for (let time = 0; time < 5; time += 1) {
    await showPicture(image, "a", async () => answers[asked++]);
  }
  assert.deepEqual([asked, image.src], [3, "a.webp"]);
});

test("a job's picture is not seen with the next one, also where it comes late", async () => {
  const image = new Picture();
  let answerLate;
  await showPicture(image, "a", async () => ({ url: "a.webp" }));
  const late = showPicture(image, "a 2", () => new Promise((resolve) => { answerLate = resolve; }));
  removePicture(image);
  assert.ok(!hasPicture(image));
  answerLate({ url: "a2.webp" });
  await late;
  assert.ok(!hasPicture(image));
  await showPicture(image, "a", async () => ({ url: "a.webp" }));
  assert.ok(hasPicture(image));
});

/** Stands for an element of any kind. */
class Part extends Picture {
  style = {};
  setAttribute(name, value) { this[name] = value; }
  addEventListener(type, act) { this[type] = act; }
}

test("the divider comes with the second picture, and never stands in one picture", async () => {
  const parts = new Map();
  const $ = (selector) => parts.get(selector) || parts.set(selector, new Part()).get(selector);
  const [waiting, settled] = [[], () => new Promise((resolve) => { setTimeout(resolve); })];
  const ask = (_, key, images) => new Promise((resolve) => {
    waiting.push(() => resolve({ url: `${images}.png` }));
  });
  const samples = createSamples({ $, ask, picked: () => "a" });
  samples.show({ grids: [0] });
  waiting.shift()();
  await settled();
  assert.deepEqual([$(".grid").src, $(".divider").hidden], ["0.png", true]);

  samples.show({ grids: [0, 64] });
  waiting.pop()(); // that of the start, which is on view already
  await settled();
  assert.deepEqual([$(".grid").src, $(".before").src, $(".divider").hidden], ["0.png", "0.png", true]);
  waiting.pop()();
  await settled();
  assert.deepEqual([$(".grid").src, $(".divider").hidden, $(".tag.first").hidden], ["64.png", false, false]);

  $(".pictures .scrub").value = "0"; // back to the start
  $(".pictures .scrub").input();
  waiting.pop()();
  await settled();
  assert.deepEqual([$(".grid").src, $(".divider").hidden], ["0.png", true]);
});
