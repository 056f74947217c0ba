// Is it a copy?: how close the face on the stage is to the training faces.
import { create } from "../shared/dom.js";
import { createLongWork } from "../shared/long-work.js";

const STOPPED = "Stopped. The comparison starts again when you open this tool or change the face.";

function figure(url, text) {
  return create("figure", {}, create("img", { src: url, alt: text }), create("figcaption", { textContent: text }));
}

/** Creates the tool; returns its actions, and stop(). */
export function createCopies(view, tools) {
  const { $, request, ask, attempt } = view;
  const work = createLongWork(request, (on) => {
    if (!on) showRunning(false);
  });

  /** Shows that the training faces are being looked at, which takes long and can be stopped. */
  function showRunning(on) {
    $(".copy-bar").hidden = $('[data-do="stop-copy"]').hidden = !on;
  }

  /** Shows where the face lies among real ones: at the left end, all of those are less close to the training faces. */
  function showScale(share) {
    $(".copy-scale").hidden = share === undefined;
    $(".copy-scale i").style.left = `${100 * (share ?? 0)}%`;
  }

  function showVerdict({ verdict, title = "", text, share, face, training = [] }) {
    $(".copy-verdict").textContent = verdict === "unknown" ? "Not known" : title;
    $(".copy-verdict").dataset.verdict = verdict;
    $(".copy-text").textContent = text;
    showScale(share);
    const figures = training.map((url, index) => figure(url, index ? `${index + 1}.` : "Closest training face"));
    $(".kin").replaceChildren(...(training.length ? [figure(face, "This face"), ...figures] : []));
  }

  function showProgress({ progress }) {
    showRunning(true);
    $(".copy-bar").value = progress;
    $(".copy-text").textContent = "Looking at the training faces. This happens once for each model…";
  }

  function compare() {
    const { recipe } = view.current();
    return attempt(async () => {
      showVerdict({ verdict: "", text: "Comparing…" });
      try {
        const answer = await work.run(() => ask("compare", recipe), showProgress);
        if (answer) showVerdict(answer);
      } catch (error) {
        showVerdict({ verdict: "unknown", text: error.message });
      }
    });
  }

  tools.add("copy", { update: compare, close: work.stop });
  return {
    stop: work.stop,
    actions: {
      "stop-copy": () => {
        work.stop();
        showVerdict({ verdict: "", text: STOPPED });
      },
    },
  };
}
