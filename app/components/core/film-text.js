// A film as text, JSON: in links, in the address of the page, and in the files of films. It is
// {model, revision, faces, seconds, loop, easing, side}: the faces without what is the same or has its default, seconds
// from each face to the next, and the side of a saved film in px. ganime/drawing/film.py writes the same.
import { expandRecipe, parseRecipe, shortenRecipe } from "../shared/recipes.js";

/** The settings of a new film. */
export const SETTINGS = { seconds: 2, loop: true, easing: "smooth", side: 256 };
/** Seconds from a face to the next one, at least and at most. */
export const [LEAST_SECONDS, MOST_SECONDS] = [0.25, 10];
const CHOICES = { loop: [true, false], easing: ["smooth", "linear"], side: [256, 512] };

/** Seconds from a face to the next one; earlier links give frames between faces and frames per second. */
function secondsOf({ seconds, gap, speed }) {
  const given = Number(seconds ?? gap / speed);
  return given > 0 ? Math.max(LEAST_SECONDS, Math.min(MOST_SECONDS, given)) : SETTINGS.seconds;
}

/** The settings among what comes from outside; those that cannot be used get their default. */
export function settingsOf(given) {
  const chosen = Object.entries(CHOICES).map(([name, values]) => (
    [name, values.includes(given[name]) ? given[name] : SETTINGS[name]]));
  return { seconds: secondsOf(given), ...Object.fromEntries(chosen) };
}

/** Writes a film, {faces, ...settings} with recipes as faces, at least one. */
export function writeFilm({ faces, ...settings }) {
  const { model, revision } = parseRecipe(faces[0]);
  const short = faces.map((recipe) => {
    const face = parseRecipe(recipe);
    const other = face.revision === revision ? {} : { model: face.model, revision: face.revision };
    return { ...other, ...shortenRecipe(recipe) };
  });
  return JSON.stringify({ model, revision, faces: short, ...settings });
}

/** Reads a film that came from outside, with recipes as faces; null for a text that is none. most: faces of a film. */
export function readFilm(text, most, least = 2) {
  try {
    const given = JSON.parse(text);
    const faces = given.faces.map((face) => expandRecipe(face, given));
    const usable = faces.length >= least && faces.length <= most && faces.every(parseRecipe);
    return usable ? { faces, ...settingsOf(given) } : null;
  } catch {
    return null;
  }
}

/** Reads the film of a link. Throws an Error for what is none. */
export function readFilmLink(text, most) {
  const film = readFilm(text, most);
  if (film) return film;
  throw new Error(`The film in this link cannot be used: it needs 2 to ${most} faces made with Ganime. The link may `
    + "have been cut short.");
}
