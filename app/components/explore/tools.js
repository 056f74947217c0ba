// The panels of the tools, one of which is open at a time, and what the buttons and keys of the tab do.
import { isLaidOut, listenOutside } from "../shared/dom.js";

const KEYS = { d: "dice", k: "keep", n: "next", z: "undo", y: "redo" };
const FIELDS = "input:not([type=range], [type=checkbox], [type=file]), textarea, select, [contenteditable]";

/** Creates the panels. Each tool is {open(), close()}, called when its panel opens and when another one does. */
export function createTools({ element, $ }) {
  const tools = {};

  function open(name) {
    element.querySelectorAll("[data-tool]").forEach((button) => {
      button.setAttribute("aria-expanded", String(button.dataset.tool === name));
    });
    element.querySelectorAll("[data-panel]").forEach((panel) => { panel.hidden = panel.dataset.panel !== name; });
    for (const [other, tool] of Object.entries(tools)) if (other !== name) tool.close?.();
    tools[name]?.open?.();
  }

  return {
    add(name, tool) { tools[name] = tool; },
    open,
    isOpen: (name) => !$(`[data-panel="${name}"]`).hidden,
    /** Opens a tool, or closes it where it is open. */
    toggle: (button) => open(button.getAttribute("aria-expanded") === "true" ? "" : button.dataset.tool),
    noneOpen: () => !element.querySelector('[data-tool][aria-expanded="true"]'),
    /** The tiles of faces that the open tool shows. */
    tiles: () => [...element.querySelectorAll("[data-panel]:not([hidden]) .faces:not(.parents) .mug")],
  };
}

/** Connects buttons and keys. actions: functions by the data-do of their buttons. */
export function connectControls(stage, tools, actions) {
  const { element } = stage;

  function press(event) {
    const writing = event.target.closest?.(FIELDS);
    if (writing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const action = KEYS[event.key.toLowerCase()];
    if (!action || !stage.current() || !isLaidOut(element)) return;
    stage.complain("");
    actions[action]();
  }

  listenOutside(element, document, "keydown", press);
  element.addEventListener("input", () => stage.complain(""));
  element.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || !stage.model) return;
    stage.complain("");
    if (button.dataset.tool) tools.toggle(button);
    if (button.dataset.do) actions[button.dataset.do]?.(button);
  });
}
