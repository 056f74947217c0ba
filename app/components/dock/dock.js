// The dock: the tray below every tab, messages, keys, and files that are dropped on the page. It starts the core.
// props.value = the model that the page starts with, see model_value.
import { arrive } from "../core/arrival.js";
import { startCore } from "../core/core.js";
import { connectButtons, finder, offerLink, onMessage, setText } from "../shared/dom.js";
import { failedSignIn } from "../shared/links.js";
import { acceptFiles } from "./files.js";
import { connectKeys } from "./keys.js";
import { connectSeen } from "./seen.js";
import { connectTray } from "./shelf.js";
import { connectTour } from "./tour.js";

const SECONDS = { say: 6, complain: 12 }; // that a message stays

/**
 * Shows messages above the tray: an error with an offer to load a face's model until another model is in use, a link
 * until its field is left. A click puts a message away, unless it has marked its text.
 */
export function showMessages(core, $) {
  let timer = 0;
  let before = ""; // the key of the model in use when another one was offered

  function show(said, complaint, { recipe = "", link = "" } = {}) {
    clearTimeout(timer);
    setText($(".status"), said);
    setText($(".alert"), complaint);
    offerLink($(".address"), link);
    const offered = Boolean(recipe) && core.canBring(recipe);
    before = core.model?.key;
    $(".offer").hidden = !offered;
    if (offered) {
      $(".offer").textContent = `Load ${JSON.parse(recipe).model}`;
      $(".offer").dataset.recipe = recipe;
    }
    const seconds = complaint ? SECONDS.complain : SECONDS.say;
    if ((said || complaint) && !offered && !link) timer = setTimeout(show, seconds * 1000, "", "");
  }

  core.onSay((words, link) => show(words, "", { link }));
  core.onComplain((words, recipe) => show("", words, { recipe }));
  core.onModel(({ key }) => { if (!$(".offer").hidden && key !== before) show("", ""); });
  onMessage($(".toasts"), () => show("", ""));
  $(".address").addEventListener("blur", ({ target }) => {
    if (target.value && document.activeElement !== target) show("", ""); // else the window is left, as to paste it
  });
  return {
    bring: ({ dataset }) => core.open({ recipe: dataset.recipe }),
  };
}

/** Starts the dock in its element. */
export function mount(component) {
  const { element, props } = component;
  const $ = finder(element);
  const core = startCore(component);
  const actions = {
    ...showMessages(core, $),
    ...connectTray(core, element),
    ...connectSeen(core, element),
    ...acceptFiles(core, $),
    ...connectKeys(core, $),
    ...connectTour(core, $),
  };
  connectButtons(element, actions, () => core.complain(""));
  core.meet(props.value);
  const remark = failedSignIn(location.search) || core.model.note;
  if (remark) core.complain(remark);
  arrive(core);
}
