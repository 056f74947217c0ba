// The random numbers of NumPy's RandomState, whose stream is frozen for good (NEP 19): a seed names the same face on
// the server and in the browser. MT19937 (Matsumoto and Nishimura 1998) with the polar method for normal numbers.

const [LENGTH, SHIFT] = [624, 397]; // of the state, and between the numbers that are mixed
const [UPPER, LOWER, TWIST] = [0x80000000, 0x7fffffff, 0x9908b0df];

/** The state of a seed, 0 to 2^32 - 1, as Knuth's generator fills it. */
function stateOf(seed) {
  const state = new Uint32Array(LENGTH);
  state[0] = seed;
  for (let at = 1; at < LENGTH; at += 1) {
    const before = state[at - 1] ^ (state[at - 1] >>> 30);
    state[at] = Math.imul(1812433253, before) + at;
  }
  return state;
}

function twist(state) {
  for (let at = 0; at < LENGTH; at += 1) {
    const mixed = (state[at] & UPPER) | (state[(at + 1) % LENGTH] & LOWER);
    state[at] = state[(at + SHIFT) % LENGTH] ^ (mixed >>> 1) ^ (mixed & 1 ? TWIST : 0);
  }
}

/** Creates the generator of a seed. Each function draws the next number, as RandomState's of that name does. */
export function createRandom(seed) {
  const state = stateOf(seed);
  let at = LENGTH;
  let spare = null; // the second number of a pair of normal ones

  function uint32() {
    if (at === LENGTH) {
      twist(state);
      at = 0;
    }
    let number = state[at];
    at += 1;
    number ^= number >>> 11;
    number ^= (number << 7) & 0x9d2c5680;
    number ^= (number << 15) & 0xefc60000;
    return (number ^ (number >>> 18)) >>> 0;
  }

  /** A number in [0, 1) with 53 random bits. */
  function uniform() {
    const high = uint32() >>> 5;
    return (high * 67108864 + (uint32() >>> 6)) / 9007199254740992;
  }

  function normal() {
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    for (;;) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const square = x * x + y * y;
      if (square < 1 && square !== 0) {
        const factor = Math.sqrt((-2 * Math.log(square)) / square);
        spare = factor * x;
        return factor * y;
      }
    }
  }

  return {
    uniform,
    normal,
    /** So many normal numbers. */
    normals: (count) => Float64Array.from({ length: count }, normal),
    /** A whole number below `end`, at least 2. */
    below(end) {
      const mask = 2 ** (32 - Math.clz32(end - 1)) - 1;
      for (;;) {
        const number = (uint32() & mask) >>> 0;
        if (number < end) return number;
      }
    },
    /** Shares of `count` that add up to 1, evenly distributed: dirichlet with ones. */
    shares(count) {
      const parts = Array.from({ length: count }, () => -Math.log(1 - uniform()));
      const whole = 1 / parts.reduce((sum, part) => sum + part, 0);
      return parts.map((part) => part * whole);
    },
  };
}
