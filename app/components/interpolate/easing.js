// How far a walk between two faces has come after a share of its time; the same as `eased` in ganime/drawing/recipe.py.

export const EASINGS = { linear: (time) => time, smooth: (time) => time * time * (3 - 2 * time) };
/** The other way round: the share of the time at which a walk has come so far. */
export const TIMES = { linear: (way) => way, smooth: (way) => 0.5 - Math.sin(Math.asin(1 - 2 * way) / 3) };
