// Links to what is on the tab, and downloads of the face on the stage.
import { copyText } from "../shared/dom.js";
import { linkTo, MOST_LINK } from "../shared/links.js";
import { saveFile } from "../shared/requests.js";

/** Said of links that others cannot open. */
const PRIVATE = "It opens only in a browser that holds the link to the training job, because the model was trained "
  + "on this page. To share the face with others, save a PNG: the recipe is inside.";
const TOO_LONG = "There are too many faces for a link. Export them as a file instead.";
const BUTTONS = ["link", "tray-link", "walk-link"];

/** Creates the sharing. Its copyLink(name, value, recipes, tooLong) copies a link, or shows it where that fails. */
export function createSharing(stage) {
  const { $, ask, say } = stage;

  async function copyLink(name, value, recipes, tooLong = TOO_LONG) {
    const link = linkTo(name, value);
    if (link.length > MOST_LINK) return say(tooLong);
    const copied = await copyText(link);
    const reach = recipes.some(stage.isPrivate) ? PRIVATE : "Anyone who can open this page will see the same.";
    return say(copied ? `Copied. ${reach}` : `${link} ${reach}`);
  }

  return {
    copyLink,
    /** Labels the buttons for the model in use. */
    label() {
      const { trained } = stage.model;
      for (const name of BUTTONS) $(`[data-do="${name}"]`).title = trained ? PRIVATE : "";
      $('[data-do="link"]').textContent = trained ? "Copy link for yourself" : "Copy link";
    },
    actions: {
      link: () => copyLink("face", stage.current().recipe, [stage.current().recipe]),
      png: (button) => saveFile(button, $(".status"), () => (
        ask("keep_file", stage.current().recipe, Number(button.dataset.size)))),
    },
  };
}
