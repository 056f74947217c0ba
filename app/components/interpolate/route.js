// Times and places on the way through the faces of a film. A place is counted in frames: face number i of the film is
// at i * steps. What is drawn is even; how the film hurries or rests is decided while it plays.
import { EASINGS, TIMES } from "./easing.js";

const MOST_FRAMES = 280; // of a film that is on view, which this browser keeps
const [LEAST_STEPS, MOST_STEPS] = [4, 14]; // from one face to the next; between frames pictures are mixed
const RATE = 24; // frames per second of a saved film, at most
const LEAST_WORK = 3; // seconds of some work, from which on its rest is estimated

/** How many ways there are from face to face. */
export const countLegs = (faces, loop) => (faces < 2 ? 0 : faces - (loop ? 0 : 1));

/** Steps that are drawn from one face to the next, fewer where there are many faces. */
export const stepsOf = (legs) => (
  Math.max(LEAST_STEPS, Math.min(MOST_STEPS, Math.floor(MOST_FRAMES / Math.max(1, legs)))));

/** The time at which a film is at a place, in legs. */
export function timeOf(place, steps, easing) {
  const leg = Math.floor(place / steps);
  return leg + TIMES[easing](place / steps - leg);
}

/** The place of a film at a time in legs. */
export function placeOf(time, steps, easing) {
  const leg = Math.floor(time);
  return (leg + EASINGS[easing](time - leg)) * steps;
}

/**
 * The frames of a saved film and how many of them are shown in a second.
 *
 * most: frames. A longer film has fewer of them in a second, and lasts as long.
 */
export function framesOf(legs, { seconds, loop }, most) {
  const length = legs * seconds;
  const wanted = Math.min(most, Math.round(length * RATE) + (loop ? 0 : 1));
  const frames = Math.max(2, wanted);
  return { frames, rate: Math.max(1, (frames - (loop ? 0 : 1)) / length) };
}

/** How long the share `left` of some work takes, of which the share `done` took so many seconds; "" for too few. */
export function describeRest(left, done, seconds) {
  if (seconds < LEAST_WORK || done <= 0) return "";
  const rest = (left / done) * seconds;
  if (rest < 5) return "a few seconds left";
  return rest < 90 ? `about ${Math.round(rest / 5) * 5} s left` : `about ${Math.round(rest / 60)} min left`;
}

/** A length of time in words. */
export const describeSeconds = (seconds) => (
  seconds < 60
    ? `${Math.round(seconds * 10) / 10} s`
    : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`);
