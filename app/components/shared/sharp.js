// The sharp picture of the face on view, which replaces the plain one a moment later.
import { loadPicture } from "./dom.js";

const PAUSE = 500; // ms without another face before one is asked for: it costs the server as much as twenty faces

/**
 * Returns show(recipe, key), called whenever the face on `canvas` changes.
 *
 * request: calls server functions. Where no sharp picture comes, the plain one stays, without a word.
 */
export function createSharpener(canvas, request) {
  let latest = 0;

  async function replace(ticket, recipe, key) {
    const answer = await request("sharp", key, recipe).catch(() => null);
    if (!answer?.picture || ticket !== latest) return;
    const picture = await loadPicture(answer.picture);
    if (ticket !== latest) return;
    canvas.width = canvas.height = picture.naturalWidth;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dataset.sharp = "true";
  }

  return (recipe, key) => {
    const ticket = ++latest;
    delete canvas.dataset.sharp;
    setTimeout(() => ticket === latest && canvas.isConnected && replace(ticket, recipe, key), PAUSE);
  };
}
