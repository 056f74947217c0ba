// The frames of a film, {pictures, places, count}: pictures at some places among so many frames, the first and the last
// among them; what lies between two pictures is mixed from them. The same as `MixedFrames` in app/faces/walks.py.
import { roundEven } from "./encoding.js";

/** Which of so many frames are drawn where at most `most` are. */
export function placesAmong(count, most) {
  const drawn = Math.min(most, count);
  return Array.from({ length: drawn }, (_, index) => roundEven((index * (count - 1)) / (drawn - 1)));
}

/** A frame of a film. */
export function frameAt({ pictures, places }, number) {
  const after = places.findIndex((place) => place >= number);
  if (places[after] === number) return pictures[after];
  const [first, second] = [pictures[after - 1], pictures[after]];
  const share = (number - places[after - 1]) / (places[after] - places[after - 1]);
  const pixels = first.pixels.map((value, index) => roundEven(value * (1 - share) + second.pixels[index] * share));
  return { side: first.side, pixels };
}

/** All frames of a film. */
export const allFrames = (film) => Array.from({ length: film.count }, (_, number) => frameAt(film, number));
