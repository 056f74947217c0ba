// The list of the visitor's training jobs.
import { create, setText } from "../shared/dom.js";
import { keptJobs } from "../shared/kept-jobs.js";
import { nameOf, stateOf } from "./words.js";

/** Keeps these jobs; says so where the browser does not store them. */
export function keepJobs(view, jobs) {
  if (keptJobs.save(jobs)) return;
  setText(view.$(".alert"), "This browser stores nothing. Copy the link, or the job is lost when you leave this page.");
}

/** Creates the list. view: see job.js; pick(key, again): shows a job. */
export function createJobList(view, pick) {
  const { $, ask } = view;
  let stale = false; // the server has not answered
  let draft = ""; // the key of the faces in the form above; they are listed once they have left it

  function jobButton(job) {
    const button = create("button", { type: "button", textContent: `${nameOf(job)} · ${stateOf(job)}` });
    button.setAttribute("aria-pressed", String(job.key === view.picked()));
    button.addEventListener("click", () => pick(job.key));
    return button;
  }

  /** Forgets jobs of links that do not fit, and takes over the names that the server knows. */
  function reconcile(asked, here) {
    const refused = keptJobs.list().filter(({ key, linked }) => linked && asked.includes(key) && !here[key]);
    if (refused.length) setText($(".alert"), "There is no such job, or the link is wrong.");
    const left = keptJobs.list().filter((job) => !refused.some(({ key }) => key === job.key));
    keepJobs(view, left.map(({ key, name, linked }) => ({
      key, name: here[key]?.name || name, linked: linked && !asked.includes(key),
    })));
  }

  async function update() {
    const asked = keptJobs.keys();
    const answer = asked.length ? await ask("mine", asked) : { jobs: [] };
    stale = !answer?.jobs;
    if (stale) return answer && setText($(".alert"), answer.error);
    const here = Object.fromEntries(answer.jobs.map((job) => [job.key, job]));
    reconcile(asked, here);
    const listed = keptJobs.list().filter(({ key }) => key !== draft && asked.includes(key))
      .map((job) => here[job.key] || { ...job, state: "away" });
    $(".own").hidden = !listed.length;
    $(".list").replaceChildren(...listed.map(jobButton));
    if (!listed.some(({ key }) => key === view.picked())) pick(listed[0]?.key || "", false);
    return undefined;
  }

  return {
    update,
    isStale: () => stale,
    setDraft(key) { draft = key; },
  };
}
