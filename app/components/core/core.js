// The state that all parts of the page share: the model in use, the current face, undo, the tray and the address.
// The dock starts it; every other component waits for `coreReady`.
import { createDrawing } from "./drawing.js";
import { createFaces } from "./faces.js";
import { createHandover } from "./handover.js";
import { createModels } from "./model.js";
import { createOwnSliders } from "./own-sliders.js";
import { createPictures } from "./pictures.js";
import { createPlace } from "./place.js";
import { createSeen, noteCurrent } from "./seen.js";
import { createSharing } from "./sharing.js";
import { createSlots } from "./slots.js";
import { createTray } from "./tray.js";
import { createListeners } from "../shared/listeners.js";
import { openTab } from "../shared/page-tabs.js";
import { createRequest } from "../shared/requests.js";

const NO_SEARCH = "This page opens faces, films and trays that were saved with Ganime. To search for the face that is "
  + "closest to another picture, it would need a server.";

const WORTH_SAYING = 2; // s of waiting
const ORDINALS = { one: "st", two: "nd", few: "rd", other: "th" };
const ordinal = (number) => `${number}${ORDINALS[new Intl.PluralRules("en", { type: "ordinal" }).select(number)]}`;

/** Says which place a request has among those that wait. ahead: how many come before. seconds: to wait, about. */
export const wordsOfPlace = ({ ahead, seconds }) => (
  `Many visitors are drawing. You are ${ordinal(ahead + 1)}, about ${Math.max(1, Math.round(seconds))} s.`);

/** Shows what was done and what failed; the dock listens. attempt() runs what a visitor has asked for. */
function createMessages() {
  const [said, complained, busy] = [createListeners(), createListeners(), createListeners()];
  let running = 0;

  return {
    onSay: said.on,
    onComplain: complained.on,
    /** Called with whether anything that a visitor has asked for is running. */
    onBusy: busy.on,
    /** Says what was done. link: one that could not be copied, for the visitor to copy. */
    say: (words, link = "") => said.tell(words, link),
    /** Says how long a request waits for its turn, while a visitor waits for it. place: {ahead, seconds}. */
    sayPlace(place) {
      if (running && place.seconds >= WORTH_SAYING) said.tell(wordsOfPlace(place));
    },
    /** Shows an error; "" takes it away. recipe: a face whose model could be loaded. */
    complain: (words, recipe = "") => complained.tell(words, recipe),
    /** Returns what work() does, undefined where it fails; errors are shown, unless they were `told` before. */
    async attempt(work, recipe = "") {
      busy.tell((running += 1) > 0);
      try {
        return await work();
      } catch (error) {
        if (!error.told) complained.tell(error.message || "This did not work. Try again.", recipe);
        return undefined;
      } finally {
        busy.tell((running -= 1) > 0);
      }
    },
  };
}

/** Holds what is sent to a part of the page that is mounted later. */
function createMailbox() {
  const waiting = [];
  let take = (...message) => waiting.push(message);

  return {
    post: (...message) => take(...message),
    attach(act) {
      take = act;
      for (const message of waiting.splice(0)) act(...message);
    },
  };
}

/** Creates the state. component: the dock's; where it has draw(tool, fields), that draws instead of the server. */
function createCore({ server, trigger, props, draw }) {
  const messages = createMessages();
  let models = null;
  const request = createRequest({ server, trigger: () => models.returnToStart() });
  const base = { ...messages, server, request, pictures: createPictures() };
  models = createModels(base, (key) => trigger("model", { key }));
  base.handover = createHandover(props.value.key);
  const withBase = Object.assign(Object.create(models), base);
  base.drawing = createDrawing(withBase, (words) => models.returnToStart(words), draw || base.handover.request);
  const withModels = Object.assign(Object.create(models), base);
  const faces = createFaces(withModels);
  const core = Object.assign(Object.create(withModels), faces);
  core.pictures.hold(() => [core.current()?.recipe]);
  core.own = createOwnSliders(core);
  core.seen = createSeen();
  noteCurrent(core);
  core.tray = createTray(core);
  core.slots = createSlots(core);
  core.place = createPlace(core);
  core.sharing = createSharing(core);

  const [mailbox, filmBox] = [createMailbox(), createMailbox()];
  const post = (...message) => {
    openTab("Create");
    mailbox.post(...message);
  };
  return Object.assign(core, {
    /** Opens a tool of the Create tab. */
    openTool: (name) => post("tool", name),
    /** Searches for the face that is closest to a picture file. */
    searchPicture: (file) => (core.can("project") ? post("picture", file) : core.complain(NO_SEARCH)),
    /** Has act(kind, value) called with what the two above ask for; for the Create tab. */
    attachCreate: mailbox.attach,
    /** Puts the face of a file, or the one closest to a picture file, into the film. */
    addToFilm: filmBox.post,
    /** Has act(file) called for that; for the Interpolate tab. */
    attachFilm: filmBox.attach,
  });
}

let begin = null;
/** A promise of the state. */
export const coreReady = new Promise((resolve) => { begin = resolve; });

/** Starts the state; returns it. */
export function startCore(component) {
  const state = createCore(component);
  begin(state);
  return state;
}
