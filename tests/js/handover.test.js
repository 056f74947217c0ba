import assert from "node:assert/strict";
import test from "node:test";

import { createHandover, differenceOf, isLoadingWelcome } from "../../app/components/core/handover.js";

const KEY = "start";
const MODEL = { key: KEY };
const turn = () => new Promise((resolve) => { setTimeout(resolve); });
const settled = async () => { for (let number = 0; number < 5; number += 1) await turn(); };

/**
 * Stands in for a server, which takes 100 ms for an answer, and a browser.
 *
 * browser: {difference, milliseconds, recipes(fields), fails}; its calls are counted.
 */
function standIn({ difference = 0, milliseconds = 10, recipes = ({ seed }) => [`face ${seed}`], offered = true,
  refused = false } = {}, options = {}) {
  let time = 0;
  const counts = { server: 0, browser: 0, loaded: 0, ended: 0 };
  const artist = {
    broken: false,
    async draw(tool, fields) {
      counts.browser += 1;
      time += milliseconds;
      if (artist.broken) throw new Error("out of memory");
      return { recipes: recipes(fields) };
    },
    difference: async () => difference,
    end() { counts.ended += 1; },
  };
  const server = {
    refuses: refused,
    async answer(tool, { seed }) {
      counts.server += 1;
      time += 100;
      if (server.refuses) throw new Error("There is no such face.");
      return { recipes: [`face ${seed}`] };
    },
  };
  const handover = createHandover(KEY, {
    server: server.answer,
    load: async () => {
      counts.loaded += 1;
      return offered ? artist : null;
    },
    isWelcome: () => true, isActive: () => true, now: () => time, ...options,
  });
  const draw = async (seed, key = KEY, tool = "draw") => (await handover.request(tool, { key, seed })).recipes;
  const play = async (times = 3) => {
    for (let seed = 0; seed < times; seed += 1) await draw(seed);
    await settled();
  };
  return { counts, artist, server, handover, draw, play };
}

test("once a visitor has drawn a few faces, a browser that draws the same in time draws all further ones", async () => {
  const { counts, handover, draw, play } = standIn();
  let changes = 0;
  handover.onChange(() => { changes += 1; });
  await play(2);
  assert.deepEqual([counts.loaded, handover.isHere(MODEL)], [0, false]);
  await play(1);
  assert.deepEqual([counts.loaded, handover.isHere(MODEL), changes], [1, true, 1]);
  const { server } = counts;
  for (let seed = 10; seed < 20; seed += 1) assert.deepEqual(await draw(seed), [`face ${seed}`]);
  assert.equal(counts.server, server);
});

test("faces of other models and sharp pictures stay with the server", async () => {
  const { counts, handover, draw, play } = standIn();
  await play();
  const { server, browser } = counts;
  await draw(1, "owner/name@0");
  await draw(1, KEY, "sharp");
  assert.deepEqual([counts.server, counts.browser], [server + 2, browser]);
  assert.equal(handover.isHere({ key: "owner/name@0" }), false);
});

const FAILED_TRIALS = {
  "other pixels": { difference: 3 },
  "pixels that cannot be compared": { difference: NaN },
  "other recipes": { recipes: () => ["another face"] },
  "too slow": { milliseconds: 101 },
  "nothing offered": { offered: false },
};

for (const [what, browser] of Object.entries(FAILED_TRIALS)) {
  test(`a trial that fails is not repeated, and the server goes on: ${what}`, async () => {
    const { counts, handover, draw, play } = standIn(browser);
    await play();
    await play();
    const tried = counts.browser;
    assert.deepEqual(await draw(7), ["face 7"]);
    assert.deepEqual([counts.loaded, counts.browser, counts.server], [1, tried, 7]);
    assert.equal(handover.isHere(MODEL), false);
    assert.equal(counts.ended, browser.offered === false ? 0 : 1);
  });
}

test("a browser that is slower than the server is quick enough at 8 ms a face", async () => {
  const quick = standIn({ milliseconds: 8 }, { server: async (tool, { seed }) => ({ recipes: [`face ${seed}`] }) });
  await quick.play();
  assert.equal(quick.handover.isHere(MODEL), true);
});

test("a browser that was too slow is tried again once the server has been slower five times in a row", async () => {
  let busy = 100;
  let time = 0;
  const { counts, handover, play } = standIn({ milliseconds: 0 }, {
    now: () => time,
    server: async (tool, { seed }) => { time += busy; return { recipes: [`face ${seed}`] }; },
    load: async () => {
      counts.loaded += 1;
      return {
        async draw(tool, { seed }) { time += 150; return { recipes: [`face ${seed}`] }; },
        difference: async () => 0,
        end() {},
      };
    },
  });
  await play(20);
  assert.equal(counts.loaded, 1); // the server is quicker
  busy = 200;
  await play(4);
  assert.equal(counts.loaded, 1);
  await play(1);
  assert.deepEqual([counts.loaded, handover.isHere(MODEL)], [2, true]);
});

test("where the browser fails later, the server answers, then and from then on", async () => {
  const { counts, artist, handover, draw, play } = standIn();
  await play();
  artist.broken = true;
  const both = await Promise.all([draw(7), draw(8)]);
  assert.deepEqual(both, [["face 7"], ["face 8"]]);
  assert.deepEqual([handover.isHere(MODEL), counts.ended > 0], [false, true]);
  const { browser } = counts;
  await play(5);
  assert.deepEqual([counts.browser, counts.loaded], [browser, 1]);
});

test("what the server refuses, too, is no failure of the browser", async () => {
  const { artist, server, handover, draw, play } = standIn();
  await play();
  artist.broken = true;
  server.refuses = true;
  await assert.rejects(draw(7), /no such face/);
  assert.equal(handover.isHere(MODEL), true);
});

test("nothing is loaded for those who only look, who save data, or whose connection is slow", async () => {
  for (const options of [{ isActive: () => false }, { isWelcome: () => false }]) {
    const { counts, play } = standIn({}, options);
    await play(10);
    assert.equal(counts.loaded, 0);
  }
  assert.equal(isLoadingWelcome({}), true);
  assert.equal(isLoadingWelcome({ connection: { effectiveType: "4g", saveData: false } }), true);
  for (const connection of [{ saveData: true }, { effectiveType: "3g" }, { effectiveType: "slow-2g" }]) {
    assert.equal(isLoadingWelcome({ connection }), false);
  }
});

test("pictures are compared without their opacity, and others of another size are as different as can be", () => {
  const pictures = [{ pixels: [1, 2, 3, 255] }, { pixels: [4, 5, 6, 255] }];
  assert.equal(differenceOf(pictures, [1, 2, 3, 4, 5, 6]), 0);
  assert.equal(differenceOf(pictures, [1, 4, 3, 4, 5, 5]), 2);
  assert.equal(differenceOf(pictures, [1, 2, 3]), Infinity);
});
