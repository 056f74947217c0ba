// The tabs of the page. Gradio has no call to open one from JavaScript, so their buttons are used.

/** Their labels, in order. */
export const TABS = ["Create", "Interpolate", "Train"];

const tabs = () => [...document.querySelectorAll("[role=tab]")];
const find = (name) => tabs().find((tab) => tab.textContent.trim() === name);

/** Opens a tab by its label; where the page has none yet, as soon as it has, since parts of it may be there before. */
export function openTab(name) {
  if (tabs().length) return find(name)?.click();
  new MutationObserver((_, observer) => {
    if (!tabs().length) return;
    observer.disconnect();
    find(name)?.click();
  }).observe(document, { childList: true, subtree: true });
}

/** Whether the tab of this label is open. */
export const isTabOpen = (name) => find(name)?.getAttribute("aria-selected") === "true";

/** Calls act(label) whenever a tab is opened. */
export function onTab(act) {
  document.addEventListener("click", (event) => {
    const name = event.target.closest?.("[role=tab]")?.textContent.trim();
    if (TABS.includes(name)) act(name);
  });
}
