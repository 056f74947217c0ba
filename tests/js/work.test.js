import assert from "node:assert/strict";
import test from "node:test";

import { createLongWork } from "../../app/components/shared/long-work.js";

test("long work reports its progress and ends with the last answer", async () => {
  const answers = [{ progress: 0.5 }, { faces: 8 }];
  const busy = [];
  const progress = [];
  const work = createLongWork(async () => answers.shift(), (on) => busy.push(on));
  const answer = await work.run(async () => ({ work: "a" }), (event) => progress.push(event.progress));
  assert.deepEqual([answer, progress, busy], [{ faces: 8 }, [0.5], [true, false]]);
});

test("long work that is replaced gives its place back before the next one begins", async () => {
  const calls = [];
  const request = async (name, work) => {
    calls.push(`${name} ${work}`);
    await new Promise(setImmediate);
    return work === "a" ? { progress: 0.1 } : { done: true };
  };
  const work = createLongWork(request);
  const first = work.run(async () => { calls.push("begin a"); return { work: "a" }; }, () => {});
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  const second = work.run(async () => { calls.push("begin b"); return { work: "b" }; }, () => {});
  assert.deepEqual(await Promise.all([first, second]), [null, { done: true }]);
  assert.deepEqual(calls.slice(-3), ["leave a", "begin b", "ask b"]);
});

test("an error of work that was stopped is nobody's", async () => {
  const work = createLongWork(async () => { throw new Error("gone"); });
  const begin = async () => ({ work: "a" });
  const running = work.run(begin, () => {});
  work.stop();
  assert.equal(await running, null);
  await assert.rejects(work.run(begin, () => {}), /gone/);
});
