import assert from "node:assert/strict";
import test from "node:test";

import { createKeptJobs, MOST_JOBS } from "../../app/components/shared/kept-jobs.js";

/** A browser's storage with these values; full: it stores nothing. */
function storage(value = null, full = false) {
  const kept = { value, names: new Set() };
  const read = (name) => { kept.names.add(name); return kept.value; };
  const write = (name, next) => {
    kept.names.add(name);
    if (!full) kept.value = next;
    return !full;
  };
  return { kept, jobs: createKeptJobs(read, write) };
}

test("nonsense in the storage is no jobs", () => {
  for (const value of [null, 7, "a", {}, [null, 7, {}, { key: 7 }]]) assert.deepEqual(storage(value).jobs.list(), []);
  assert.deepEqual(storage([{ key: "a", name: 7, more: 1 }, { key: "b" }]).jobs.list(),
    [{ key: "a", name: "7" }, { key: "b", name: "" }]);
});

test("there is one entry in the storage, of at most as many jobs as the server takes", () => {
  const { kept, jobs } = storage();
  for (let turn = 0; turn < MOST_JOBS + 5; turn += 1) jobs.add({ key: `key-${turn}`, name: "" });
  assert.equal(jobs.keys().length, MOST_JOBS);
  assert.equal(jobs.keys()[0], `key-${MOST_JOBS + 4}`);
  assert.deepEqual([...kept.names], ["ganime-jobs"]);
});

test("a job that is added again comes to the front once", () => {
  const { jobs } = storage([{ key: "a", name: "A" }, { key: "b", name: "B" }]);
  jobs.add({ key: "b", name: "New" });
  assert.deepEqual(jobs.list(), [{ key: "b", name: "New" }, { key: "a", name: "A" }]);
  jobs.remove("b");
  assert.deepEqual(jobs.keys(), ["a"]);
});

test("the job of a link is marked as such unless it was kept already", () => {
  const { jobs } = storage([{ key: "a", name: "A" }]);
  jobs.addLinked("b");
  assert.deepEqual(jobs.find("b"), { key: "b", name: "", linked: true });
  jobs.addLinked("a");
  assert.deepEqual(jobs.list(), [{ key: "a", name: "A" }, { key: "b", name: "", linked: true }]);
});

test("where nothing is stored the jobs are kept until the page is left, and that is reported", () => {
  const { kept, jobs } = storage(null, true);
  assert.equal(jobs.add({ key: "a", name: "A" }), false);
  assert.deepEqual(jobs.keys(), ["a"]);
  assert.equal(kept.value, null);
  assert.equal(storage().jobs.add({ key: "a", name: "A" }), true);
});
