// What belongs to the page as a whole. Gradio's events call these functions, see `page_call` in bridge.py.
import { scrollClearOf } from "./shared/dom.js";
import { keptJobs } from "./shared/kept-jobs.js";
import { jobOfLink } from "./shared/links.js";
import { openTab } from "./shared/page-tabs.js";
import { readStored, TRAY } from "./shared/storage.js";

/** The value of a component with the faces of the tray, and the other values of the event. */
export const withTray = (value, ...others) => [{ ...value, tray: readStored(TRAY) || [] }, ...others];

/** What is chosen in the form of the Train tab, as the value of on-hub.js. */
export const planOnHub = (draft, model, start, images, recipe, size, name) => [
  { plan: { draft, model, start, images, recipe, size, name }, time: Date.now() },
];

/** The value of a message that was clicked: it goes away, unless some of its text was marked. */
export const withoutMessage = (value) => [getSelection().isCollapsed ? "" : value];

/** Keeps what has the focus clear of the tray. */
export const scrollClearOfTray = () => scrollClearOf(document.querySelector("#dock"));

function takeJobLink() {
  const key = jobOfLink(location.hash);
  if (!key) return;
  history.replaceState(null, "", location.pathname + location.search);
  keptJobs.addLinked(key);
  openTab("Train");
  window.dispatchEvent(new CustomEvent("ganime-link", { detail: key }));
}

/**
 * Keeps the job that the address names, takes its key out of the address and opens the Train tab.
 *
 * A link that is pasted into the open page changes the hash alone, so that is watched from now on.
 */
export function takeJobLinks() {
  takeJobLink();
  window.addEventListener("hashchange", takeJobLink);
}
