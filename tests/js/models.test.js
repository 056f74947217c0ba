import assert from "node:assert/strict";
import test from "node:test";

import { createDrawing } from "../../app/components/core/drawing.js";
import { createModels } from "../../app/components/core/model.js";
import { entriesOf } from "../../app/components/header/header.js";
import { recipeOfSeed } from "../../app/components/shared/recipes.js";

const EMBEDDED = { key: "embedded", model: "anime-128", revision: "aaa", origin: "embedded", embedded: "anime-128" };
const HUB = { ...EMBEDDED, key: "me/tiny@1", model: "me/tiny", revision: "bbb", origin: "hub, revision 1" };
const FILE = { ...EMBEDDED, key: "file:secret", model: "brought model", revision: "ddd", origin: "from a file" };
const MINE = { ...EMBEDDED, key: "job:1.secret@ccc", model: "mine", revision: "ccc", trained: true };

/** Models of a server that answers what `answers` says, with a list of what was asked and told. */
function modelsOf(answers = {}, context = null) {
  const heard = { asked: [], changed: [], said: [], complaints: [] };
  const request = async (name, ...values) => {
    heard.asked.push([name, ...values]);
    if (answers[name]?.missing) models.returnToStart();
    if (answers[name] instanceof Error) throw answers[name];
    return answers[name];
  };
  const attempt = async (work) => work().catch((error) => { heard.complaints.push(error.message); });
  const [say, complain] = [heard.said, heard.complaints].map((list) => (words) => list.push(words));
  const models = createModels({ request, attempt, say, complain }, (key) => heard.changed.push(key));
  globalThis.localStorage = { getItem: () => '[{"key": "1.secret"}]', setItem() {} };
  context?.after(() => { delete globalThis.localStorage; });
  models.meet(EMBEDDED);
  return { models, heard };
}

test("a change of the model is told once, to the server and to every part of the page", async (context) => {
  const { models, heard } = modelsOf({ hub_model: HUB }, context);
  const met = [];
  models.onModel(({ key }) => met.push(key));
  await models.use("hub_model", "me/tiny");
  await models.use("hub_model", "me/tiny");
  assert.deepEqual([met, heard.changed], [["embedded", "me/tiny@1"], ["me/tiny@1"]]);
  assert.deepEqual(heard.asked.at(-1), ["hub_model", "me/tiny"]);
  await models.ask("inside", "a face").catch(() => {});
  assert.deepEqual(heard.asked.at(-1), ["inside", "me/tiny@1", "a face"]);
});

test("sliders that are being fitted come once they are ready; the page then stops asking", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const awaited = { ...MINE, awaited: "They are being fitted.", steers: [] };
  const answers = { job_model: awaited, renewed_model: awaited };
  const { models, heard } = modelsOf(answers, context);
  const met = [];
  models.onModel(({ steers }) => met.push(steers?.length));
  await models.use("job_model", "1.secret");
  const moment = async () => {
    context.mock.timers.tick(3000);
    await new Promise(setImmediate);
  };
  await moment();
  assert.deepEqual(met, [undefined, 0]);
  answers.renewed_model = { ...awaited, awaited: "", steers: [{ name: "smile" }] };
  await moment();
  await moment();
  assert.deepEqual(met, [undefined, 0, 1]);
  assert.deepEqual(heard.asked.slice(1), [["renewed_model", MINE.key], ["renewed_model", MINE.key]]);
  assert.deepEqual(heard.changed, [MINE.key]); // to the server it is the same model
});

test("a model that is gone gives way to the start model, and that is said", async (context) => {
  const { models, heard } = modelsOf({ start_model: EMBEDDED }, context);
  models.meet(MINE);
  await models.returnToStart();
  assert.equal(models.model.key, "embedded");
  assert.match(heard.complaints.at(-1), /deleted.*anime-128/);
  await models.returnToStart(); // the start model itself: nothing to go back to
  assert.equal(heard.complaints.length, 1);
  await models.returnToStart("This training job was deleted.");
  assert.equal(heard.complaints.at(-1), "This training job was deleted.");
});

test("deleting the job of the model in use brings a message and no error", async (context) => {
  const missing = Object.assign(new Error("This training job was deleted."), { missing: true });
  const { models, heard } = modelsOf({ start_model: EMBEDDED, known_model: missing }, context);
  for (const [byVisitor, said, complaints] of [[true, 1, 0], [false, 1, 1]]) {
    models.meet(MINE);
    await models.recheck(byVisitor);
    await new Promise(setImmediate);
    assert.equal(models.model.key, "embedded");
    assert.deepEqual([heard.said.length, heard.complaints.length], [said, complaints]);
  }
  assert.match(heard.said[0], /deleted.*anime-128/);
  models.meet(EMBEDDED);
  const before = heard.asked.length;
  await models.recheck(true); // a model that is of no job
  assert.equal(heard.asked.length, before);
});

test("one message says that a model is gone, however many requests find out", async () => {
  const gone = [];
  const request = async () => { throw Object.assign(new Error("This training job was deleted."), { missing: true }); };
  const drawing = createDrawing({ model: MINE, pictures: {} }, (words) => gone.push(words), request);
  await assert.rejects(drawing.draw(["a face"]), ({ told }) => told === true);
  assert.deepEqual(gone, ["This training job was deleted."]);
});

test("a face of another model brings that model, or says for good that nothing can", async (context) => {
  const answers = { drawing_model: HUB };
  const { models, heard } = modelsOf(answers, context);
  models.meet(HUB);
  models.meet(EMBEDDED);
  const face = recipeOfSeed(HUB, 5);
  const met = [];
  models.onModel(({ key }, brought) => met.push([key, brought]));
  let shown = 0;
  await models.bring(face, () => { shown += 1; });
  assert.deepEqual(heard.asked.at(-1), ["drawing_model", face, "me/tiny@1", ["1.secret"]]);
  assert.deepEqual([shown, models.model.key], [1, "me/tiny@1"]);
  assert.deepEqual(met, [["embedded", false], ["me/tiny@1", true]]); // nobody shows another face meanwhile
  answers.drawing_model = { final: "It has other weights by now." };
  let unavailable = 0;
  await models.bring(face, () => { shown += 1; }, () => { unavailable += 1; });
  assert.deepEqual([shown, unavailable, heard.complaints], [1, 1, ["It has other weights by now."]]);
});

test("an offer to load a model is made where that might work", (context) => {
  const { models } = modelsOf({}, context);
  globalThis.localStorage.getItem = () => null; // no jobs of one's own
  const face = (model, revision) => recipeOfSeed({ model, revision }, 1);
  assert.ok(!models.canBring(face("anime-128", "aaa"))); // in use
  assert.ok(models.canBring(face("anime-128", "older")));
  assert.ok(models.canBring(face("owner/name", "x")));
  assert.ok(!models.canBring(face("mine", "ccc")));
  assert.ok(!models.canBring("no recipe"));
  models.meet(MINE);
  models.meet(EMBEDDED);
  assert.ok(models.canBring(face("mine", "ccc")));
  assert.deepEqual([face("mine", "ccc"), face("anime-128", "aaa"), face("owner/name", "x")].map(models.isPrivate),
    [true, false, false]);
});

test("the menu has the embedded model, one's own and those that were in use, each once", async (context) => {
  const { models } = modelsOf({ embedded_model: EMBEDDED, job_model: MINE }, context);
  models.meet(HUB);
  models.meet(MINE);
  const entries = entriesOf(models, [{ key: "1.secret", name: "mine" }, { key: "2.secret", name: "" }]);
  assert.deepEqual(entries.map(({ name }) => name), ["anime-128", "mine", "Unnamed", "me/tiny"]);
  assert.equal(entries[3].about, HUB.origin);
  await entries[3].load(); // known already: no request
  assert.equal(models.model.key, "me/tiny@1");
  await entries[1].load();
  assert.equal(models.model.key, MINE.key);
});

test("the menu marks the one model in use, whatever other ones are called", (context) => {
  const { models } = modelsOf({}, context);
  const mine = (number, model, revision) => ({ ...MINE, key: `job:${number}.secret@${revision}`, model, revision });
  const own = [{ key: "1.secret", name: "mine" }, { key: "11.secret", name: "mine" }, { key: "2.secret", name: "" },
    { key: "3.secret", name: EMBEDDED.model }];
  const file = { ...FILE, model: "mine", revision: "ccc" }; // of the first of these jobs
  const inUse = (model) => {
    models.meet(model);
    const entries = entriesOf(models, own);
    return entries.flatMap(({ isInUse }, index) => (isInUse ? [index] : []));
  };
  assert.deepEqual(inUse(EMBEDDED), [0]);
  assert.deepEqual(inUse(mine(1, "mine", "ccc")), [1]);
  assert.deepEqual(inUse(mine(11, "mine", "eee")), [2]);
  assert.deepEqual(inUse(mine(2, "trained here", "fff")), [3]);
  assert.deepEqual(inUse(mine(3, EMBEDDED.model, "abc")), [4]);
  assert.deepEqual(inUse(HUB), [5]);
  assert.deepEqual(inUse(file), [5]); // its weights were in use before those of the hub
});

test("the models of earlier visits are in the menu, and their faces find them", async (context) => {
  const kept = {};
  const { models: before } = modelsOf({ known_model: FILE }, context);
  globalThis.localStorage = { getItem: (name) => kept[name] ?? null, setItem(name, text) { kept[name] = text; } };
  await before.use("known_model", FILE.key);
  before.meet(HUB);
  before.meet(MINE);
  assert.deepEqual(before.earlierModels(), []); // they are still known

  const { models, heard } = modelsOf({ drawing_model: FILE, known_model: FILE }, context);
  globalThis.localStorage = { getItem: (name) => kept[name] ?? null, setItem() {} };
  assert.deepEqual(models.earlierModels().map(({ key }) => key), [FILE.key, HUB.key]); // that of a job has its own list
  const face = recipeOfSeed(FILE, 5);
  assert.equal(models.canBring(face), true);
  await models.bring(face, () => {});
  assert.deepEqual(heard.asked.at(-1), ["drawing_model", face, FILE.key, []]);
  assert.deepEqual(models.earlierModels().map(({ key }) => key), [HUB.key]);

  kept["ganime-models"] = '[null, 7, {"key": 1}, {"key": "a", "model": "b", "revision": "c"}]';
  assert.deepEqual(models.earlierModels(), []);
});
