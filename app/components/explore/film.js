// Film: a walk through the faces of the tray, or of a link. All its frames arrive in one exact sheet; playing and
// scrubbing take no request.
import { download, loadPicture } from "../shared/dom.js";
import { writeWalk } from "../shared/links.js";
import { createLongWork } from "../shared/long-work.js";
import { createPlayback, reducedMotion } from "../shared/playback.js";
import { createWalkFields } from "./walk-fields.js";
import { describeFrames, describeWalk, framesDrawn, gapOf, speedOf } from "./walk-settings.js";

const SIDE = 384; // px of the preview
const TOO_LONG = "This film is too long for a link: faces that were edited, bred or found hold all their numbers. Use "
  + "fewer faces, or export the tray as a file.";

function createPreview({ $, element }, tools, fields) {
  let position = 0; // in frames, with the fraction that has passed
  const preview = createPlayback({
    element,
    canvas: $(".stroll"),
    slider: $(".stroll-at"),
    button: $('[data-do="play"]'),
    begin: (index) => { position = index; },
    advance(seconds) {
      if (!tools.isOpen("film")) return null;
      position = (position + seconds * speedOf(fields.read())) % preview.film().frames;
      return Math.floor(position);
    },
  });
  reducedMotion.addEventListener("change", () => reducedMotion.matches && preview.stop());
  return preview;
}

/**
 * Has walks drawn by the server. Its run(name, ...) returns the last answer, null where it was stopped or replaced;
 * `words` of it says how many frames there are.
 */
function createWalkWork(stage, faces, fields) {
  const { $, request, ask } = stage;
  const work = createLongWork(request, (on) => {
    $(".walk-bar").hidden = $('[data-do="stop-walk"]').hidden = !on;
    $(".walk-bar").value = 0;
  });
  return {
    stop: work.stop,
    async run(name, ...rest) {
      const [recipes, settings, most] = [faces(), fields.read(), stage.model.frames];
      const frames = framesDrawn(recipes.length, settings, most);
      const begin = () => ask(name, recipes, frames, settings.loop, settings.easing, ...rest);
      const answer = await work.run(begin, ({ progress }) => { $(".walk-bar").value = progress; });
      return answer && { ...answer, words: describeFrames(recipes.length, settings, most) };
    },
  };
}

/** Creates the tool. copyLink: see share.js. */
export function createFilm(stage, tools, tray, copyLink) {
  const { $, element, ask, attempt, pictures, say } = stage;
  const fields = createWalkFields(stage, showHint);
  const preview = createPreview(stage, tools, fields);
  const work = createWalkWork(stage, faces, fields);

  function faces() {
    const route = fields.route();
    return route ? route.filter((recipe) => pictures.has(recipe) && stage.isOfModel(recipe)) : tray.drawable();
  }

  function showHint() {
    const many = faces().length;
    for (const name of ["stroll", "film", "walk-link"]) {
      element.querySelectorAll(`[data-do="${name}"]`).forEach((button) => { button.disabled = many < 2; });
    }
    $('[data-do="own-walk"]').hidden = !fields.route();
    $(".walk-hint").textContent = describeWalk(many, fields.read(), stage.model.frames, fields.route() !== null);
  }

  const draw = () => attempt(async () => {
    const answer = await work.run("walk");
    if (!answer) return;
    say(`The film is drawn: ${answer.words}.`);
    const image = await loadPicture(answer.sheet);
    $(".stroll").hidden = $(".stroll-bar").hidden = false;
    preview.load({ ...answer, sheet: "", image }, SIDE);
    if (!reducedMotion.matches) preview.play();
  });

  const save = (button) => attempt(async () => {
    const settings = fields.read();
    const answer = await work.run("film", speedOf(settings), button.dataset.suffix, Number(settings.side));
    if (!answer) return;
    download(answer);
    say(`Saved ${answer.name}: ${answer.words}.`);
  });

  function copyWalk() {
    const { loop, easing, side, ...rest } = fields.read();
    const settings = { gap: gapOf(rest), speed: speedOf(rest), loop, easing, side: Number(side) };
    return copyLink("walk", writeWalk(stage.model, faces(), settings), [stage.current().recipe], TOO_LONG);
  }

  tools.add("film", { open: showHint });
  tray.onChange(showHint);
  return {
    draw,
    /** Gives up the walk that is being drawn, and the route of a link. */
    reset() {
      work.stop();
      fields.clearRoute();
    },
    /** Takes over the walk of a link, see readWalk; returns its first face. */
    async takeLink({ faces: recipes, ...settings }) {
      fields.takeLink(await pictures.add(await ask("draw", recipes)), settings);
      return fields.route()[0];
    },
    actions: {
      stroll: draw,
      film: save,
      "stop-walk": work.stop,
      "walk-link": copyWalk,
      "own-walk": () => fields.changeRoute(null),
    },
  };
}
