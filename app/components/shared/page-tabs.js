// The tabs of the page. Gradio has no call to open one from JavaScript, so their buttons are used.

/** Their labels, in order. */
export const TABS = ["Create", "Interpolate", "Train"];

const find = (name) => [...document.querySelectorAll("[role=tab]")].find((tab) => tab.textContent.trim() === name);

/** Opens a tab by its label. */
export const openTab = (name) => find(name)?.click();

/** Whether the tab of this label is open. */
export const isTabOpen = (name) => find(name)?.getAttribute("aria-selected") === "true";

/** Calls act(label) whenever a tab is opened. */
export function onTab(act) {
  document.addEventListener("click", (event) => {
    const name = event.target.closest?.("[role=tab]")?.textContent.trim();
    if (TABS.includes(name)) act(name);
  });
}
