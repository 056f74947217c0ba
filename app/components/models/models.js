// The models that this visitor has trained on this page. The keys that this browser keeps open them.
import { create, finder, isLaidOut } from "../shared/dom.js";
import { keptJobs } from "../shared/kept-jobs.js";

const SECONDS = 10; // between two updates while the list is visible

/** Starts the list in its element. */
export function mount({ element, server, trigger }) {
  const $ = finder(element);
  let visible = false;
  let updated = 0;

  function modelButton({ key, name }) {
    const button = create("button", { type: "button", textContent: name || "Unnamed" });
    button.addEventListener("click", () => trigger("use", { key }));
    return button;
  }

  async function update() {
    updated = Date.now();
    const keys = keptJobs.keys();
    const answer = keys.length ? await server.mine([keys]).catch(() => null) : { jobs: [] };
    if (!answer?.jobs) return; // no answer: the list stays
    const models = answer.jobs.filter((job) => job.has_model);
    $(".own").hidden = !models.length;
    $(".list").replaceChildren(...models.map(modelButton));
  }

  const timer = setInterval(() => {
    if (!element.isConnected) return clearInterval(timer);
    const before = visible;
    visible = document.visibilityState === "visible" && isLaidOut(element);
    return visible && (!before || Date.now() - updated > SECONDS * 1000) ? update() : undefined;
  }, 500);
}
