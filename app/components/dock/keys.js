// Keys that work on every tab.
import { isTabOpen } from "../shared/page-tabs.js";

const FIELDS = "input:not([type=range], [type=checkbox], [type=file]), textarea, select, [contenteditable]";

/** What a key press asks for: the name of an action, "" for none. */
export function actionOf({ key, ctrlKey, metaKey, altKey, shiftKey }) {
  const letter = key.toLowerCase();
  if (altKey) return "";
  if (ctrlKey || metaKey) return { z: shiftKey ? "redo" : "undo", y: "redo" }[letter] || "";
  return { d: "dice", k: "keep", n: "next", z: "undo", y: "redo", "?": "help" }[letter] || "";
}

/** The recipe of the tile that has the focus, itself or its heart; "" for none. */
function focusedFace() {
  const part = document.activeElement;
  return part?.closest(".mug")?.dataset.recipe || part?.dataset.heart || "";
}

/** Goes to the face after the current one among the tiles that are on view, or rolls one where there is none. */
function goOn(core) {
  const tiles = [...document.querySelectorAll("#create .variations .mug")].filter((tile) => tile.offsetParent);
  const here = tiles.findIndex((tile) => tile.dataset.recipe === core.current().recipe);
  return tiles.length ? tiles[(here + 1) % tiles.length].click() : core.dice();
}

/** Connects the keys; returns the actions that buttons have, too. */
export function connectKeys(core, $) {
  const actions = {
    dice: core.dice,
    keep: () => core.tray.toggle(focusedFace() || core.onView()),
    next: () => goOn(core),
    undo: () => core.go(-1),
    redo: () => core.go(1),
    help: () => $(".help").showModal(),
  };

  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest?.(FIELDS) || document.querySelector("dialog[open]");
    const action = actionOf(event);
    if (writing || event.repeat || !action || !core.current()) return;
    if (action === "dice" && isTabOpen("Train")) return;
    if (action === "next" && !isTabOpen("Create")) return;
    event.preventDefault();
    core.complain("");
    actions[action]();
  });
  return actions;
}
