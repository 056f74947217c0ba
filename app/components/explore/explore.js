// The Explore tab: a face on a stage, tools around it, and a tray of kept faces.
// props.value = what view.js says of the model, or {error}. A face is a recipe, as text, which the server draws.
import { createArrival } from "./arrival.js";
import { createChoose } from "./choose.js";
import { createCopies } from "./copies.js";
import { acceptFiles } from "./files.js";
import { createFilm } from "./film.js";
import { createInside } from "./inside.js";
import { createMix } from "./mix.js";
import { createOwnSliders } from "./own-sliders.js";
import { createPictureSearch } from "./picture.js";
import { createSearches } from "./searches.js";
import { createSharing } from "./share.js";
import { createStage } from "./stage.js";
import { createSteer } from "./steer.js";
import { connectControls, createTools } from "./tools.js";
import { createTray } from "./tray.js";
import { createVary } from "./vary.js";
import { createView } from "./view.js";

/** Creates all parts of the tab and connects its buttons and keys. */
function createExplore(component) {
  const stage = createStage(createView(component));
  const tools = createTools(stage);
  const sharing = createSharing(stage);
  const own = createOwnSliders(stage);
  const steer = createSteer(stage, own);
  const tray = createTray(stage, own, sharing.copyLink);
  const searches = createSearches(stage);
  const choose = createChoose(stage, searches);
  const pictureSearch = createPictureSearch(stage, tools, tray, searches);
  const film = createFilm(stage, tools, tray, sharing.copyLink);
  const copies = createCopies(stage, tools);
  createInside(stage, tools);

  /** Goes to the next face that the open tool shows, or to a random one where it shows none. */
  function next() {
    const tiles = tools.tiles();
    const here = tiles.findIndex((tile) => tile.dataset.recipe === stage.current().recipe);
    return tiles.length ? tiles[(here + 1) % tiles.length].click() : stage.dice();
  }

  const withActions = [steer, tray, sharing, choose, pictureSearch, film, copies];
  connectControls(stage, tools, Object.assign({
    dice: stage.dice,
    undo: () => stage.go(-1),
    redo: () => stage.go(1),
    next,
    bring: () => {
      const recipe = stage.offered();
      return stage.models.bring(recipe, () => stage.show({ recipe }));
    },
    ...createVary(stage, tools),
    ...createMix(stage, tray, own),
    ...acceptFiles(stage, tray, pictureSearch),
  }, ...withActions.map((part) => part.actions)));
  return { stage, tools, sharing, own, steer, tray, searches, choose, film, copies };
}

/** Starts the tab in its element. */
export function mount(component) {
  const { props, watch } = component;
  const parts = createExplore(component);
  const { stage, tools, sharing, steer, searches, choose, film, copies } = parts;
  const arrival = createArrival(stage, parts);
  let sent = 0; // the time of the last face that came from elsewhere on the page

  async function changeModel() {
    searches.stop(); // what is searched for belongs to the other model
    copies.stop();
    film.reset();
    stage.complain("");
    steer.build();
    choose.build();
    sharing.label();
    stage.$('[data-suffix=".mp4"]').hidden = !stage.model.endings.includes(".mp4");
    await arrival.begin();
    if (tools.noneOpen()) tools.open("vary");
  }

  async function update() {
    const value = props.value || {};
    if (value.error) {
      stage.models.cancel();
      stage.complain(value.error);
      return;
    }
    if (!value.key) return;
    const before = stage.model;
    stage.meet(value);
    if (value.key !== before?.key || value.revision !== before?.revision) await changeModel();
    else if (value.sent && value.time !== sent) await stage.show({ recipe: value.sent });
    sent = value.time;
  }

  watch("value", update);
  update();
}
