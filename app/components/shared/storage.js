// What this browser keeps for the page, as JSON. Storage may be switched off or full.

/** The entry with the faces of the tray. */
export const TRAY = "ganime-tray";

/** Reads a stored value. Returns null where there is none, or none that can be read. */
export function readStored(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

/** Stores a value. Returns whether the browser has kept it. */
export function writeStored(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
