// Links to faces, trays and films, and the face as a file.
import { bytesOf, copyText, download } from "../shared/dom.js";
import { linkTo, MOST_LINK } from "../shared/links.js";
import { trayToLink } from "./tray-store.js";

const PUBLIC = "Anyone who can open this page will see the same.";
const PRIVATE = "It needs a private model, so it opens only in this browser, or in one that has that model, too.";
/** How to show others what a link with a private model leads to, by the link's name. */
const INSTEAD = {
  face: "To show the face to others, save it as a PNG.",
  tray: "To show the faces to others, save them as a ZIP.",
  walk: "To show the film to others, save it.",
};
const TOO_LONG = "There are too many faces for a link. Export them as a file instead.";

/** Whether this device can share files itself, as phones can. */
export function canShareFiles(type = "image/png") {
  if (!matchMedia("(pointer: coarse)").matches || !navigator.canShare) return false;
  return navigator.canShare({ files: [new File([], "face.png", { type })] });
}

/** A file's name with the side of its picture in px, so that a face in two sizes has two names; 0: as it is. */
export const withSide = (name, side) => (side ? name.replace(/(?=\.\w+$)/, `-${side}px`) : name);

/** Creates the sharing. */
export function createSharing(core) {
  const { ask, say, attempt } = core;

  /** Copies a link, or shows it where that fails. recipes: of the faces that it leads to. */
  async function copyLink(name, value, recipes, tooLong = TOO_LONG) {
    const link = linkTo(name, value);
    if (link.length > MOST_LINK) return say(tooLong);
    const copied = await copyText(link);
    const reach = recipes.some(core.isPrivate) ? `${PRIVATE} ${INSTEAD[name]}` : PUBLIC;
    return copied ? say(`Link copied. ${reach}`) : say(`Copy this link. ${reach}`, link);
  }

  async function faceFile(recipe, size) {
    const file = await ask("face_file", recipe, size);
    return { ...file, name: withSide(file.name, size) };
  }

  const saveFile = (words, fetchFile) => attempt(async () => {
    say(words);
    const file = await fetchFile();
    download(file);
    say(`Saved ${file.name}.`);
  });

  return {
    copyLink,
    copyTrayLink: (recipes) => copyLink("tray", trayToLink(recipes), recipes),
    /** Saves a face. size: side in px, 0 for the model's own. */
    save: (recipe, size) => (
      saveFile(size ? "Sharpening the face…" : "Preparing the file…", () => faceFile(recipe, size))),
    /** Saves a face as an avatar. shape: cutout, circle or banner. */
    saveAvatar: (recipe, shape) => saveFile("Sharpening the face…", () => ask("avatar_file", recipe, shape)),
    /** Shares the sharpened face with what the device has for that; where it has nothing, copies a link. */
    share: (recipe) => attempt(async () => {
      if (!canShareFiles()) return copyLink("face", recipe, [recipe]);
      say("Preparing the face…");
      const file = await faceFile(recipe, 512);
      const picture = new File([bytesOf(file)], file.name, { type: file.type });
      const cancelled = ({ name }) => name === "AbortError";
      await navigator.share({ files: [picture] }).catch((error) => {
        if (!cancelled(error)) throw new Error("This device could not share the face. Save it instead.");
      });
      return say("");
    }),
  };
}
