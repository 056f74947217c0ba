// How the tab starts with a model: with what the address names, a face from elsewhere on the page, or a random face.
import { checkLinkedFace, parseLinked, readLink, readWalk } from "../shared/links.js";

/** Creates the start. Its begin() runs for each model that the page changes to. parts: {tools, tray, own, film}. */
export function createArrival(stage, { tools, tray, own, film }) {
  const { attempt, ask, isOfModel } = stage;
  let read = false; // whether the address has been read
  let linkedWalk = null; // of the address, until the model that draws it is in use

  const faceFrom = (text) => attempt(async () => checkLinkedFace(text));

  async function walkFrom(text) {
    await attempt(async () => { linkedWalk = readWalk(text, stage.model.most); });
    const [first] = linkedWalk?.faces || [];
    if (first && !isOfModel(first)) await attempt(() => ask("draw", [first]), first); // says which model to load
  }

  const trayFrom = (text) => attempt(async () => {
    const [first] = await tray.add(parseLinked(text, "tray"), "This link");
    return first;
  });

  /** Returns the face that the address names, "" for none; a tray that it names is added to the visitor's own. */
  async function readAddress() {
    if (read) return "";
    read = true;
    const link = readLink(location.search);
    const face = link.face ? await faceFrom(link.face) : "";
    if (link.walk) await walkFrom(link.walk);
    const first = link.tray ? await trayFrom(link.tray) : "";
    return face || first || "";
  }

  /** Takes over the walk of the address where the model in use draws it; returns its first face. */
  async function takeWalk() {
    if (!linkedWalk || !isOfModel(linkedWalk.faces[0])) return "";
    const walk = linkedWalk;
    linkedWalk = null;
    return attempt(() => film.takeLink(walk));
  }

  return {
    async begin() {
      tray.load();
      own.load();
      const linked = await readAddress();
      const face = stage.model.sent || linked;
      const strolled = await takeWalk();
      const act = stage.models.take(stage.model.key);
      if (act) await act();
      else if (face || strolled) await stage.show({ recipe: face || strolled });
      if (!stage.current() || !isOfModel(stage.current().recipe)) await stage.dice();
      await tray.draw();
      if (!strolled) return;
      tools.open("film");
      await film.draw();
    },
  };
}
