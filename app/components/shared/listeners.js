// Functions to be told when something changes.

/** Creates a list of them. on(listener) adds one; tell(...) calls all. */
export function createListeners() {
  const listeners = [];
  return {
    on(listener) { listeners.push(listener); },
    tell(...values) { for (const listener of listeners) listener(...values); },
  };
}
