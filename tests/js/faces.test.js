import assert from "node:assert/strict";
import test from "node:test";

import { createDrawing } from "../../app/components/core/drawing.js";
import { createFaces } from "../../app/components/core/faces.js";
import { createSteering } from "../../app/components/create/steer.js";
import { recipeOfSeed, withSettings } from "../../app/components/shared/recipes.js";

const MODEL = { model: "tiny", revision: "0123456789ab", clarity: 0.7 };

/** Faces of a model that draws everything, unless `answers` holds back what it draws. */
function facesOf(answers = []) {
  const core = {
    model: MODEL, isOfModel: () => true, pictures: { has: () => false }, onModel: (act) => act(MODEL), say() {},
    attempt: (work) => work(), bring: () => assert.fail("the model is there"),
    drawing: { draw: (recipes) => answers.shift() || Promise.resolve(recipes) },
  };
  return createFaces(core);
}

const face = (seed, changes = {}) => JSON.stringify({ ...JSON.parse(recipeOfSeed(MODEL, seed)), ...changes });

test("a face on view that another model has drawn is not asked for again", async () => {
  const asked = [];
  const core = { model: MODEL, isOfModel: (recipe) => recipe === face(1), pictures: { add: (answer) => answer } };
  const drawing = createDrawing(core, () => {}, async (tool) => { asked.push(tool); return { picture: "sharp" }; });
  await assert.rejects(drawing.sharp(face(2)), /another model/);
  await assert.rejects(drawing.vary(face(2), 0.3, 0, []), /another model/);
  assert.deepEqual(asked, []);
  assert.equal(await drawing.sharp(face(1)), "sharp");
  await drawing.vary(face(1), 0.3, 0, []);
  assert.deepEqual(asked, ["sharp", "vary"]);
});

test("of two faces that are rolled at once the later roll stays, whichever comes first", async () => {
  const faces = facesOf();
  const arrivals = [];
  const roll = () => faces.show(() => new Promise((resolve) => { arrivals.push(resolve); }));
  const [first, second] = [roll(), roll()];
  arrivals[1]({ recipe: face(2) });
  assert.equal(await second, true);
  arrivals[0]({ recipe: face(1) });
  assert.equal(await first, false);
  assert.equal(faces.current().recipe, face(2));
});

test("new faces have the looks of the current one, unless its clarity is in its vector", async () => {
  const faces = facesOf();
  await faces.show({ recipe: face(1, { clarity: 0.3, truncation: 0.9 }) });
  assert.deepEqual(JSON.parse(faces.faceOfSeed(2)), { ...JSON.parse(face(2)), clarity: 0.3, truncation: 0.9 });
  await faces.show({ recipe: face(3, { clarity: undefined, vector: "AAAA" }) }); // searched for
  assert.equal(faces.settings.clarity, 0.3);
  await faces.show({ recipe: face(3, { clarity: 0.5, vector: "AAAA" }) }); // a variation
  assert.equal(faces.settings.clarity, 0.5);
  await faces.show({ recipe: face(4, { clarity: undefined }) }); // as drawn
  assert.deepEqual(faces.settings, { clarity: 0, truncation: 1 });
});

test("an old answer never replaces a newer one", async () => {
  let answer = null;
  const late = new Promise((resolve) => { answer = resolve; });
  const faces = facesOf([undefined, late]);
  await faces.show({ recipe: face(1) });
  const first = faces.show({ recipe: face(2) });
  faces.show({ recipe: face(3) });
  assert.equal(await faces.shown(), true);
  answer([face(2)]);
  assert.equal(await first, false);
  assert.equal(faces.current().recipe, face(3));
});

test("the first face is where undo begins, and every other one can be undone and redone", async () => {
  const faces = facesOf();
  const can = [];
  faces.onHistory(({ undo, redo }) => can.push([undo, redo]));
  await faces.show({ recipe: face(1) });
  assert.deepEqual(can, [[false, false]]);
  await faces.show({ recipe: face(2) });
  await faces.show({ recipe: face(3) }, true); // goes on where the step before ended
  await faces.go(-1);
  assert.equal(faces.current().recipe, face(1));
  assert.equal(faces.go(-1), undefined);
  await faces.go(1);
  assert.equal(faces.current().recipe, face(3));
  assert.deepEqual(can.at(-1), [true, false]);
});

test("a face that could not be shown meanwhile does not keep an undo from what its model was brought for", async () => {
  let inUse = "old";
  let arrive = null;
  const core = {
    model: MODEL, isOfModel: (recipe) => recipe.startsWith(inUse), pictures: { has: () => true }, say() {},
    onModel: (act) => act(MODEL), attempt: (work) => work().catch(() => undefined),
    bring: async (recipe, act) => {
      await new Promise((resolve) => { arrive = resolve; });
      inUse = "old";
      return act();
    },
    drawing: { draw: async () => { throw new Error("Load its model first."); } },
  };
  const faces = createFaces(core);
  await faces.show({ recipe: "old face" });
  inUse = "new";
  await faces.show({ recipe: "new face" });
  const undone = faces.go(-1);
  await faces.show({ recipe: "old face of the tray" }); // refused: the old model is not there yet
  arrive();
  await undone;
  assert.equal(faces.current().recipe, "old face");
});

test("a face that another model has drawn is opened with that model, with its sliders", async () => {
  let inUse = MODEL.revision;
  const brought = [];
  const core = {
    model: MODEL, isOfModel: (recipe) => JSON.parse(recipe).revision === inUse, pictures: { has: () => true }, say() {},
    onModel: (act) => act(MODEL), attempt: (work) => work(),
    bring: async (recipe, act) => {
      brought.push(recipe);
      inUse = JSON.parse(recipe).revision;
      return act();
    },
  };
  const faces = createFaces(core);
  assert.equal(await faces.open({ recipe: face(1) }), true);
  assert.deepEqual(brought, []);
  const [recipe, base] = [2, 3].map((seed) => face(seed, { revision: "ffffffffffff" }));
  assert.equal(await faces.open({ recipe, base, amounts: { smile: 1 } }), true);
  assert.deepEqual([brought, faces.current()], [[recipe], { recipe, base, amounts: { smile: 1 } }]);
});

test("a slider that is moved while the face of another is on its way changes the face after it", async () => {
  const faces = facesOf();
  const asked = [];
  let answer = null;
  const drawing = {
    steer(base, amounts) {
      asked.push({ base, amounts });
      return new Promise((resolve) => { answer = () => resolve([face(9, { vector: `${asked.length}` })]); });
    },
  };
  const own = { vectorsOf: () => ({}) };
  const view = Object.assign(Object.create(faces), { drawing, own, attempt: (work) => work() });
  const steering = createSteering(view, () => {});
  view.onFace(() => steering.follow());
  const settled = () => new Promise((resolve) => { setTimeout(resolve); });
  const change = (looks) => faces.inOrder(() => { // as the sliders of clarity and boldness do
    const { recipe, base, amounts } = faces.current();
    return faces.show({ recipe: withSettings(recipe, looks), base: withSettings(base || recipe, looks), amounts });
  });

  await faces.show({ recipe: face(1) });
  steering.move("smile", 2);
  await settled();
  const changed = change({ clarity: 0.8, truncation: 1 });
  steering.move("blush", 1); // while both are under way
  answer();
  await changed;
  assert.deepEqual(faces.current().amounts, { smile: 2 });
  await settled();
  assert.deepEqual(asked.map(({ amounts }) => amounts), [{ smile: 2 }, { smile: 2, blush: 1 }]);
  answer();
  await faces.inOrder(() => {});
  assert.deepEqual(faces.current().amounts, { smile: 2, blush: 1 });
  assert.equal(JSON.parse(faces.current().base).clarity, 0.8);

  steering.move("smile", 1);
  await faces.show({ recipe: face(2) }); // another face: the move was not meant for it
  await settled();
  answer();
  await settled();
  assert.equal(faces.current().recipe, face(2));
  assert.equal(faces.current().amounts, undefined);
});
