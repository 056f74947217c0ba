// The drawn frames of a film, leg by leg: the way from one face to the next. A change of one face draws two legs anew.

const KEPT = 160; // legs; those that were on view last

/** Creates the frames. arrived(): called whenever those of another leg are there. */
export function createLegs(core, arrived) {
  const { drawing, pictures } = core;
  const drawn = new Map(); // by name: [{recipe, picture}], both faces included
  let wanted = []; // [{a, b, steps}] in the order in which they are drawn
  let running = null; // a promise, until all that is wanted is drawn, or something cannot be

  const nameOf = ({ a, b, steps }) => `${steps} ${a} ${b}`;
  const has = (leg) => drawn.has(nameOf(leg)) || drawn.has(nameOf({ ...leg, a: leg.b, b: leg.a }));

  async function draw(leg) {
    const { a, b, steps } = leg;
    const between = a === b ? Array(steps - 1).fill(a) : await drawing.between(a, b, steps);
    if (!pictures.has(a) || !pictures.has(b)) await drawing.draw([a, b]);
    drawn.set(nameOf(leg), [a, ...between, b].map((recipe) => ({ recipe, picture: pictures.get(recipe) })));
    if (drawn.size > KEPT) drawn.delete(drawn.keys().next().value);
  }

  async function run() {
    await core.attempt(async () => {
      for (let leg = wanted.find((one) => !has(one)); leg; leg = wanted.find((one) => !has(one))) {
        await draw(leg);
        arrived();
      }
    });
    running = null;
    return wanted.every(has);
  }

  return {
    /** Whether the frames of a leg are drawn. */
    has,
    /** Has legs drawn, the first ones first; returns a promise of whether all of them are. */
    want(legs) {
      wanted = legs;
      running ||= run();
      return running;
    },
    /** The frames of a leg, null where they were not drawn yet. */
    framesOf(leg) {
      const there = drawn.get(nameOf(leg));
      if (there) return there;
      const back = drawn.get(nameOf({ ...leg, a: leg.b, b: leg.a }));
      return back ? [...back].reverse() : null;
    },
  };
}
