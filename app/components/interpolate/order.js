// The faces in their slots: which place is the target of what is rolled or chosen, and changes of the order.
import { moved } from "../shared/lists.js";

/** Creates the order. aimed(target): called with the place of the slot that is the target, null for a new slot. */
export function createOrder(slots, aimed) {
  let target = null;
  const faces = () => slots.film().faces;

  function aim(place) {
    target = place !== null && place < faces().length ? place : null;
    aimed(target);
  }

  return {
    target: () => target,
    aim,
    remove(place) {
      const now = place === target ? null : target;
      target = now !== null && place < now ? now - 1 : now;
      slots.fill(faces().filter((_, index) => index !== place));
    },
    move(from, to) {
      if (to < 0 || to >= faces().length || from === to) return;
      if (target === from) target = to;
      slots.fill(moved(faces(), from, to));
    },
    /** Puts a face into a place, null for a new slot; returns the slot, -1 where there is no room. */
    put(recipe, place = target) {
      if (place === null) return slots.add(recipe) ? faces().length - 1 : -1;
      slots.fill(faces().map((before, index) => (index === place ? recipe : before)));
      return place;
    },
  };
}
