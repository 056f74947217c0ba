// The tray: faces that a visitor keeps, as recipes, in this browser's storage and in files.
import { parseRecipe } from "../shared/recipes.js";
import { readStored, TRAY, writeStored } from "../shared/storage.js";

/** Bytes of a file with a tray. */
export const MOST_BYTES = 2 ** 20;

/** The stored faces, at most `most`. */
export function readTray(most) {
  const kept = readStored(TRAY);
  return Array.isArray(kept) ? kept.filter((text) => typeof text === "string" && parseRecipe(text)).slice(0, most) : [];
}

export const writeTray = (recipes) => writeStored(TRAY, recipes);

/** The faces as JSON, for a link. */
export const trayToLink = (recipes) => JSON.stringify(recipes.map((recipe) => JSON.parse(recipe)));

/** A tray as a file, with the visitor's own sliders, in ASCII alone. */
export function trayToFile(recipes, directions) {
  const faces = recipes.map((recipe) => JSON.parse(recipe));
  const text = JSON.stringify({ ganime: "tray", faces, directions }, null, 1);
  return text.replace(/[\u0080-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Parses the text of a file. Throws an Error for what is not JSON. */
export function parseTrayFile(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("This file is not JSON. Choose one that was exported here.");
  }
}

/** The recipes of a tray that came from outside, [] for a file without faces. Throws an Error for what is no tray. */
export function recipesOf(given, what, most) {
  const list = Array.isArray(given) ? given : given?.ganime === "tray" ? given.faces : null;
  const recipes = Array.isArray(list) ? list.map((recipe) => JSON.stringify(recipe)) : [];
  if (!recipes.every(parseRecipe)) throw new Error(`${what} holds no tray of faces made with Ganime.`);
  if (recipes.length > most) throw new Error(`${what} holds ${recipes.length} faces; a tray has at most ${most}.`);
  return recipes;
}
