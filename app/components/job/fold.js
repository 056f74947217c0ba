// The form above a job: folded to one line while the job that is shown waits or runs, and until it is opened again.
import { isActive } from "./words.js";

/** Creates the fold. view: see job.js. */
export function createFold({ $ }) {
  const form = () => document.getElementById("train-form");
  let opened = false; // whether the visitor has opened the form during this job
  let folded = ""; // the key of the job that it was folded for

  function fold(on) {
    if (form()) form().style.display = on ? "none" : "";
    $(".fold").hidden = !on;
    $(".unfold").setAttribute("aria-expanded", String(!on));
  }

  $(".unfold").addEventListener("click", () => {
    [opened, folded] = [true, ""];
    fold(false);
    form()?.scrollIntoView({ block: "start" });
  });
  return {
    /** Folds the form for a job that was just started. */
    close() { opened = false; },
    update(key, job) {
      if (job && (isActive(job) || job.state === "queued")) folded = key;
      fold(!opened && key !== "" && key === folded); // it stays folded at the end, so that the job stays where it is
    },
  };
}
