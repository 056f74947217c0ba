// Undo and redo. A change is {part, before, after}: the part of the tab that it concerns, and that part's two states.

/** Creates a history that keeps the last `most` changes. */
export function createHistory(most = 200) {
  let changes = []; // the oldest first
  let standing = 0; // how many of them are done; those after them can be redone
  const next = (direction) => changes[direction < 0 ? standing - 1 : standing];

  return {
    /** Records a change. extend: it continues the change before where that concerns the same part. */
    record(part, before, after, extend = false) {
      const last = changes[standing - 1];
      const extended = extend && last?.part === part;
      const kept = changes.slice(0, extended ? standing - 1 : standing);
      changes = [...kept, { part, before: extended ? last.before : before, after }].slice(-most);
      standing = changes.length;
    },
    /** The change that undo (-1) takes back or redo (1) does again. */
    next,
    /** Notes that the next change in a direction has been undone or redone. */
    move(direction) { standing += direction; },
    /** Drops the next change in a direction. */
    dropNext(direction) {
      const dropped = next(direction);
      changes = changes.filter((change) => change !== dropped);
      if (direction < 0) standing -= 1;
    },
    /** Drops all changes of a part. */
    forget(part) {
      standing = changes.slice(0, standing).filter((change) => change.part !== part).length;
      changes = changes.filter((change) => change.part !== part);
    },
    canUndo: () => standing > 0,
    canRedo: () => standing < changes.length,
  };
}
