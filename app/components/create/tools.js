// The panels of the tools, one of which is open.
import { scrollTo } from "../shared/motion.js";

const FIRST = "sliders";
const SEEN = 240; // px of a panel that can be seen, at least, with the dock that covers the end of the window

/** Creates the panels. Each tool is {open(), close()}, called when its panel opens and when another one does. */
export function createTools({ element, $, place, onFace }) {
  const tools = {};
  const exists = (name) => Boolean(name && $(`[data-panel="${name}"]`));

  function open(name) {
    element.querySelectorAll("[data-tool]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.tool === name));
    });
    element.querySelectorAll("[data-panel]").forEach((panel) => { panel.hidden = panel.dataset.panel !== name; });
    for (const [other, tool] of Object.entries(tools)) if (other !== name) tool.close?.();
    place.set({ tool: name === FIRST ? "" : name });
    tools[name]?.open?.();
  }

  const isOpen = (name) => !$(`[data-panel="${name}"]`).hidden;
  element.querySelectorAll("[data-tool]").forEach((button) => {
    button.addEventListener("click", () => {
      open(button.dataset.tool);
      const panel = $(`[data-panel="${button.dataset.tool}"]`);
      const isBelow = panel.getBoundingClientRect().top > innerHeight - SEEN; // as on a phone
      if (isBelow) scrollTo(panel);
    });
  });
  const { tool } = place.read();
  open(exists(tool) ? tool : FIRST);
  return {
    /** Adds a tool; update(): called while it is open, for each face. */
    add(name, { close, update }) {
      tools[name] = { close, open: update };
      onFace(() => isOpen(name) && update());
    },
    open,
    isOpen,
  };
}
