// The film as it can be drawn: the faces of the model in use, the ways between them, and their frames.
import { createLegs } from "./legs.js";
import { countLegs, stepsOf } from "./route.js";

/** The faces, their slots, and the legs between them: {a, b, steps}, the faces at both ends and the steps between. */
function routeOf(core, { faces, loop }) {
  const slots = faces.map((_, slot) => slot).filter((slot) => (
    core.isOfModel(faces[slot]) && core.pictures.has(faces[slot])));
  const drawable = slots.map((slot) => faces[slot]);
  const count = countLegs(drawable.length, loop);
  const steps = stepsOf(count);
  const legs = Array.from({ length: count }, (_, index) => (
    { a: drawable[index], b: drawable[(index + 1) % drawable.length], steps }));
  return { faces: drawable, slots, legs, steps };
}

/** Creates the reel. arrived(): called whenever more of it was drawn. Places on it are counted in frames. */
export function createReel(core, arrived) {
  const drawn = createLegs(core, arrived);
  let route = { faces: [], slots: [], legs: [], steps: 1 };

  const nearest = (place) => Math.round(place / route.steps) % Math.max(1, route.faces.length);

  /** The nearest face as a mixture, null where there is none. */
  function faceAt(place) {
    const picture = core.pictures.get(route.faces[nearest(place)]);
    return picture ? [{ picture }, { picture }, 0] : null;
  }

  /** The number of the leg at a place, -1 where there is none. */
  const legAt = (place) => Math.min(route.legs.length - 1, Math.floor(place / route.steps));

  /** The frames of the leg at a place, and the place among them; null where they were not drawn yet. */
  function around(place) {
    const index = legAt(place);
    const frames = index < 0 ? null : drawn.framesOf(route.legs[index]);
    return frames && { frames, at: place - index * route.steps };
  }

  return {
    load(film) { route = routeOf(core, film); },
    faces: () => route.faces,
    legs: () => route.legs.length,
    steps: () => route.steps,
    end: () => route.legs.length * route.steps,
    isDrawn: (place) => legAt(place) >= 0 && drawn.has(route.legs[legAt(place)]),
    /** The two frames next to a place and the share of the second one; the nearest face where they are not drawn. */
    mixAt(place) {
      const found = around(place);
      if (!found) return faceAt(place);
      const first = Math.min(route.steps - 1, Math.floor(found.at));
      return [found.frames[first], found.frames[first + 1], found.at - first];
    },
    /** The recipe of the frame nearest to a place; where it was not drawn yet, that of the nearest face. */
    recipeAt(place) {
      const found = around(place);
      return found ? found.frames[Math.round(found.at)].recipe : route.faces[nearest(place)];
    },
    /** The face that is at a place, undefined between two faces. */
    faceExactlyAt: (place) => route.faces[place / route.steps],
    /** The slot nearest to a place, undefined where there is none. */
    slotAt: (place) => route.slots[nearest(place)],
    /** The place of a slot, -1 where its face is not part of the film. */
    placeOf: (slot) => (route.slots.includes(slot) ? route.slots.indexOf(slot) * route.steps : -1),
    /** Has the film drawn, beginning at a place; returns a promise of whether all of it is. */
    want(place) {
      const first = Math.max(0, legAt(place));
      return drawn.want([...route.legs.slice(first), ...route.legs.slice(0, first)]);
    },
  };
}
