// Links to this page: ?face= and ?tray= open the Create tab, ?walk= a film, #job= the Train tab.
import { parseRecipe } from "./recipes.js";

/** Characters of a link; servers and messengers accept no longer ones. */
export const MOST_LINK = 8000;
const NAMES = ["face", "tray", "walk"];
const FAILED = new Map([
  ["cancelled", "You are not signed in: signing in was cancelled."],
  ["failed", "Signing in or out did not work. Hugging Face may be out of reach at the moment; try again later."],
]);
const CUT_SHORT = "The link may have been cut short.";

/** A link to a face, a tray or a film (walk). value: a text. place: {origin, pathname} of the page. */
export function linkTo(name, value, place = location) {
  return `${place.origin}${place.pathname}?${name}=${encodeURIComponent(value)}`;
}

/** A link to a training job. Browsers send what follows the # to no server. */
export const linkToJob = (key, place = location) => `${place.origin}${place.pathname}#job=${key}`;

/** What an address names, as {face, tray, walk} of texts; "" for what it does not name. search: its query. */
export function readLink(search) {
  const query = new URLSearchParams(search);
  return Object.fromEntries(NAMES.map((name) => [name, query.get(name) || ""]));
}

/** The query of an address without what the page takes from it once: a link, and how signing in has failed. */
export function withoutLink(search) {
  const query = new URLSearchParams(search);
  for (const name of [...NAMES, "sign-in"]) query.delete(name);
  return query.size ? `?${query}` : "";
}

/** How signing in has failed, in words, as the address says where the server leads back to; "" for anything else. */
export const failedSignIn = (search) => FAILED.get(new URLSearchParams(search).get("sign-in")) || "";

/** The key of the job that an address names, "" for none. hash: its part from the # on. */
export const jobOfLink = (hash) => new URLSearchParams(hash.slice(1)).get("job") || "";

/** Parses the JSON of a link. what: "tray", for one. Throws an Error for what is damaged. */
export function parseLinked(text, what) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`The ${what} in this link cannot be read. ${CUT_SHORT}`);
  }
}

/** Checks the face of a link. Throws an Error for what is no recipe. */
export function checkLinkedFace(text) {
  if (!parseRecipe(text)) throw new Error(`The face in this link cannot be read. ${CUT_SHORT}`);
  return text;
}
