// How the page starts: with what the address names, or with a face that makes a good first impression.
import { checkLinkedFace, parseLinked, readLink } from "../shared/links.js";
import { readFilmLink } from "./film-text.js";
import { stepOf } from "./place.js";

/** Shows the first face of the model in use; that of the start model is in the page's HTML, too. */
const showFirst = (core) => core.show({ recipe: core.faceOfSeed(core.model.openers[0]) });

/** Opens the film of a link; its first face becomes the current one. */
const takeFilm = (core, text) => core.attempt(async () => {
  const film = readFilmLink(text, core.model.most);
  await core.slots.open(film);
  const [first] = core.slots.film().faces;
  if (core.isOfModel(first)) await core.show({ recipe: first });
});

/** Shows what the address names. */
async function takeLink(core, { face, tray, walk }) {
  let recipe = face && await core.attempt(async () => checkLinkedFace(face));
  if (tray) {
    await core.attempt(async () => {
      const [first] = await core.tray.add(parseLinked(tray, "tray"), "This link");
      if (first && core.isOfModel(first)) recipe = recipe || first;
    });
  }
  if (recipe) await core.show({ recipe });
  if (walk) await takeFilm(core, walk);
}

/** Returns to the film and the face where the visitor was, whose model is loaded again if need be. */
async function returnTo(core, place) {
  core.slots.restore();
  if (place.face) await core.open(stepOf(place));
}

/** Starts the page, once the model is known. */
export async function arrive(core) {
  const link = readLink(location.search);
  if (link.face || link.tray || link.walk) await takeLink(core, link);
  else await returnTo(core, core.place.read());
  if (!core.current()) await showFirst(core);
  core.onModel((_, brought) => { // a face that has brought its model is shown in a moment
    const face = core.current(); // null where the first one could not be drawn
    if (!brought && !(face && core.isOfModel(face.recipe))) showFirst(core);
  });
}
