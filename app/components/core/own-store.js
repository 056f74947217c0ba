// Sliders of a visitor's own: named directions, [{name, model, revision, vector}], in this browser's storage. Each
// steers the weights that it was made for.
import { readStored, writeStored } from "../shared/storage.js";

/** The storage entry. */
export const OWN = "ganime-directions";
/** Directions that are kept, of all models together. */
export const MOST_KEPT = 200;
const MOST_NAME = 64;
const VECTOR = /^[\w-]{3,10923}$/;

function isDirection(entry) {
  return typeof entry?.name === "string" && entry.name.trim() !== "" && [...entry.name].length <= MOST_NAME
    && typeof entry.revision === "string" && typeof entry.vector === "string" && VECTOR.test(entry.vector);
}

/** The directions among the entries of a list from outside. */
export function cleanDirections(list) {
  return (Array.isArray(list) ? list : []).filter(isDirection).slice(0, MOST_KEPT)
    .map(({ name, model, revision, vector }) => ({ name, model: String(model ?? "").slice(0, 200), revision, vector }));
}

/** Those of a list that are not among the own ones. */
export function newDirections(own, list) {
  const known = new Set(own.map(({ name, revision }) => `${revision} ${name}`));
  return cleanDirections(list).filter(({ name, revision }) => !known.has(`${revision} ${name}`));
}

export const readDirections = () => cleanDirections(readStored(OWN));
export const writeDirections = (list) => writeStored(OWN, list);
