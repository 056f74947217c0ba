// The tabs of the page. Gradio has no call to open one from JavaScript, so their buttons are used.

const find = (name) => [...document.querySelectorAll("[role=tab]")].find((tab) => tab.textContent.trim() === name);

/** Opens a tab by its label. */
export const openTab = (name) => find(name)?.click();

/** Whether the tab of this label is open. */
export const isTabOpen = (name) => find(name)?.getAttribute("aria-selected") === "true";
