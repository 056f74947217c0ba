// The form above a job: folded to one line (see page.css) while a job is shown, until it is opened again.

/** Creates the fold. view: see job.js. */
export function createFold({ $ }) {
  const form = () => document.getElementById("train-form");
  let opened = false; // whether the visitor has opened the form during this job

  function fold(on) {
    $(".fold").hidden = !on;
    $(".unfold").setAttribute("aria-expanded", String(!on));
  }

  function unfold() {
    opened = true;
    fold(false);
    form()?.scrollIntoView({ block: "start" });
  }

  $(".unfold").addEventListener("click", unfold);
  return {
    /** Brings the list of jobs into view, or the top of the form where there are none. */
    showTop: () => ($(".own").hidden ? form() : $(".own"))?.scrollIntoView({ block: "start" }),
    /** Opens the form for faces that are chosen already, with the focus where it is sent. */
    open() {
      unfold();
      document.querySelector("#start-training")?.focus();
    },
    /** Folds the form for a job that was just started. */
    close() { opened = false; },
    update(job) { fold(!opened && Boolean(job) && job.state !== "draft"); },
  };
}
