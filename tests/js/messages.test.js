import assert from "node:assert/strict";
import test from "node:test";

globalThis.matchMedia = () => ({ matches: false }); // asked for when a module is loaded
const { showMessages } = await import("../../app/components/dock/dock.js");
const { createListeners } = await import("../../app/components/shared/listeners.js");

/** Messages of a page whose model in use is "first"; of a face it may load another model. */
function messagesOf(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const parts = {};
  const $ = (name) => {
    parts[name] ??= { textContent: "", hidden: false, dataset: {}, addEventListener() {} };
    return parts[name];
  };
  const [said, complained, models] = [createListeners(), createListeners(), createListeners()];
  const core = {
    model: { key: "first" }, canBring: () => true, onSay: said.on, onComplain: complained.on, onModel: models.on,
    opened: [], open: ({ recipe }) => core.opened.push(recipe),
    use(key) {
      core.model = { key };
      models.tell(core.model);
    },
  };
  const actions = showMessages(core, $);
  return { core, actions, complain: complained.tell, alert: $(".alert"), offer: $(".offer") };
}

const FACE = JSON.stringify({ model: "My faces", seed: 1 });

test("an error that offers a model goes once another model is in use", (context) => {
  const { core, complain, alert, offer } = messagesOf(context);
  complain("Load its model first.", FACE);
  context.mock.timers.tick(60_000);
  core.use("first"); // whose sliders have come
  assert.deepEqual([alert.textContent, offer.hidden, offer.textContent],
    ["Load its model first.", false, "Load My faces"]);
  core.use("second");
  assert.deepEqual([alert.textContent, offer.hidden], ["", true]);
});

test("an error without an offer stays for its time, also where a model has brought it", (context) => {
  const { core, complain, alert } = messagesOf(context);
  complain("Signing in did not work.");
  core.use("second");
  assert.equal(alert.textContent, "Signing in did not work.");
  context.mock.timers.tick(12_000);
  assert.equal(alert.textContent, "");
});

test("a press of the offer opens its face, although the press takes the error away", (context) => {
  const { core, actions, complain, offer } = messagesOf(context);
  complain("Load its model first.", FACE);
  complain("");
  actions.bring(offer);
  assert.deepEqual(core.opened, [FACE]);
});
