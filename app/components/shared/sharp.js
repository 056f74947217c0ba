// The sharp picture of the face on view, which replaces the plain one a moment later.
import { isLaidOut, loadPicture } from "./dom.js";

const PAUSE = 500; // ms without another face before one is asked for: it costs the server more than a whole gallery
const MOST = 20; // pictures that are kept

/**
 * Returns show(recipe, key), called whenever the face on `canvas` changes.
 *
 * server: the component's server functions. One request runs at a time. Where no sharp picture comes, the plain one
 * stays, without a word.
 */
export function createSharpener(canvas, server) {
  const pictures = new Map(); // by model and recipe, the oldest first
  let wanted = null;
  let running = false;

  async function fetchPicture({ key, recipe, name }) {
    const answer = await server.sharp([key, recipe]);
    if (!answer?.picture) return;
    pictures.set(name, await loadPicture(answer.picture));
    if (pictures.size > MOST) pictures.delete(pictures.keys().next().value);
  }

  function paint(picture) {
    canvas.width = canvas.height = picture.naturalWidth;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dataset.sharp = "true";
  }

  async function update(face) {
    if (running || face !== wanted || !isLaidOut(canvas)) return;
    running = true;
    await fetchPicture(face).catch(() => null);
    running = false;
    if (face !== wanted) update(wanted);
    else if (pictures.has(face.name)) paint(pictures.get(face.name));
  }

  return (recipe, key) => {
    const face = { key, recipe, name: `${key} ${recipe}` };
    wanted = face;
    delete canvas.dataset.sharp;
    if (pictures.has(face.name)) paint(pictures.get(face.name));
    else setTimeout(update, PAUSE, face);
  };
}
