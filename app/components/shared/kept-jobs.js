// The visitor's training jobs: [{key, name, linked}], the newest first, in this browser's storage. A key opens a job.
// linked: the key came with a link, and the server has not confirmed it yet.
import { readStored, writeStored } from "./storage.js";

const NAME = "ganime-jobs";
/** Keys that are kept, and that the server takes at a time. */
export const MOST_JOBS = 50;

function clean(jobs) {
  if (!Array.isArray(jobs)) return [];
  return jobs.filter((job) => job && typeof job.key === "string").slice(0, MOST_JOBS)
    .map(({ key, name, linked }) => ({ key, name: String(name ?? ""), ...(linked ? { linked: true } : {}) }));
}

/** Creates access to the kept jobs. Where the browser stores nothing they are kept until the page is left. */
export function createKeptJobs(read = readStored, write = writeStored) {
  let unstored = null;
  const list = () => unstored || clean(read(NAME));

  /** Keeps these jobs. Returns whether the browser has stored them. */
  function save(jobs) {
    const cleaned = clean(jobs);
    const stored = write(NAME, cleaned);
    unstored = stored ? null : cleaned;
    return stored;
  }

  const find = (key) => list().find((job) => job.key === key);
  const others = (key) => list().filter((job) => job.key !== key);
  return {
    list,
    save,
    keys: () => list().map(({ key }) => key),
    find,
    /** Puts a job in front of the others. */
    add: (job) => save([job, ...others(job.key)]),
    remove: (key) => save(others(key)),
    /** Adds the job of a link; one that is kept already keeps its name. */
    addLinked: (key) => save([find(key) || { key, name: "", linked: true }, ...others(key)]),
  };
}

/** The jobs of this page. */
export const keptJobs = createKeptJobs();
