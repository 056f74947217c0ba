// The buttons that undo and redo, on every tab that has them.

/** Connects the two buttons of a view; returns their actions. The focus moves to the other one when one is disabled. */
export function connectUndo({ $, onHistory, go }) {
  const buttons = [$('[data-do="undo"]'), $('[data-do="redo"]')];

  onHistory(({ undo, redo }) => {
    const focused = buttons.indexOf(document.activeElement);
    [buttons[0].disabled, buttons[1].disabled] = [!undo, !redo];
    if (buttons[focused]?.disabled) buttons[1 - focused].focus();
  });
  return { undo: () => go(-1), redo: () => go(1) };
}
