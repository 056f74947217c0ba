// Pictures of a job that the server is asked for, each once.

/**
 * Shows a picture, unless it is there already; the one before stays meanwhile. Asks for it again at the next call where
 * there was no answer.
 *
 * name: of the picture; image.dataset.name has it. ask(): a promise of {url}. properties: of the image with it.
 */
export async function showPicture(image, name, ask, properties = {}) {
  if (image.dataset.name === name) return;
  image.dataset.name = name;
  const answer = await ask();
  if (name !== image.dataset.name) return; // another one is wanted meanwhile
  if (!answer?.url) image.dataset.name = "";
  else {
    Object.assign(image, { src: answer.url, ...properties });
    image.dataset.shown = name;
  }
}

/** Takes a picture away, so that it is not seen with what follows. */
export function removePicture(image) {
  image.dataset.name = image.dataset.shown = "";
  image.removeAttribute("src");
}

/** The name of the picture that is seen, which may be the one before that which is asked for; "" for none. */
export const shownIn = (image) => image.dataset.shown || "";

/** Whether a picture has come. */
export const hasPicture = (image) => image.hasAttribute("src");
