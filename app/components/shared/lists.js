// Helpers for lists.

/** A list with the item at one place moved to another. */
export function moved(list, from, to) {
  const others = list.filter((_, index) => index !== from);
  return [...others.slice(0, to), list[from], ...others.slice(to)];
}
