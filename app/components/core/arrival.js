// How the page starts: with what the address names, or with a face that makes a good first impression.
import { checkLinkedFace, parseLinked, readLink, readWalk } from "../shared/links.js";
import { openTab } from "../shared/page-tabs.js";
import { stepOf } from "./place.js";

/** Shows the first face of the model in use; that of the start model is in the page's HTML, too. */
const showFirst = (core) => core.show({ recipe: core.faceOfSeed(core.model.openers[0]) });

/** Takes over the film of a link, whose model is loaded where that is possible. */
async function takeWalk(core, text) {
  const walk = await core.attempt(async () => readWalk(text, core.model.most));
  if (!walk) return;
  const take = async () => {
    const faces = await core.drawing.draw(walk.faces);
    core.slots.put(faces);
    core.slots.settings = walk;
    await core.show({ recipe: faces[0] });
    openTab("Interpolate");
  };
  if (core.isOfModel(walk.faces[0])) await core.attempt(take);
  else await core.attempt(() => core.drawing.draw(walk.faces.slice(0, 1)), walk.faces[0]); // says which model to load
}

/** Shows what the address names. */
async function takeLink(core, { face, tray, walk }) {
  if (tray) {
    await core.attempt(async () => {
      const [first] = await core.tray.add(parseLinked(tray, "tray"), "This link");
      if (first && core.isOfModel(first)) await core.show({ recipe: first });
    });
  }
  const linked = face && await core.attempt(async () => checkLinkedFace(face));
  if (linked) await core.show({ recipe: linked });
  if (walk) await takeWalk(core, walk);
}

/** Returns to the face where the visitor was, whose model is loaded again if need be. */
async function returnTo(core, place) {
  if (!place.face) return;
  const step = stepOf(place);
  if (core.isOfModel(step.recipe)) await core.show(step);
  else await core.bring(step.recipe, () => core.show(step));
}

/** Starts the page, once the model is known. */
export async function arrive(core) {
  const link = readLink(location.search);
  if (link.face || link.tray || link.walk) await takeLink(core, link);
  else await returnTo(core, core.place.read());
  if (!core.current()) await showFirst(core);
  core.onModel(() => {
    if (!core.isOfModel(core.current().recipe)) showFirst(core);
  });
}
