// The film as a file, its frame as a PNG, and a link to it.
import { writeFilm } from "../core/film-text.js";
import { withSide } from "../core/sharing.js";
import { download, setText } from "../shared/dom.js";
import { createLongWork } from "../shared/long-work.js";
import { parseRecipe } from "../shared/recipes.js";
import { describeRest, describeSeconds, framesOf } from "./route.js";

const TOO_LONG = "This film is too long for a link, because edited faces hold all their numbers. Save it instead: the "
  + "file can be dropped on this page.";
const CHOPPY = 12; // frames per second below which a note says so
const MOST_SEEDS = 4; // in the name of a film's file
const DRAWN = 0.1; // of a sharpened film's progress: all frames are drawn
const SLOW = "At 512 px every frame is sharpened, so saving takes a minute or more; at 256 px it takes seconds.";

/** The name of a film's file, without its ending: the seeds that it goes through, the first of many. */
export function nameOfFilm(faces) {
  const seeds = faces.map((recipe) => parseRecipe(recipe).seed);
  const left = seeds.length - MOST_SEEDS;
  return ["film", ...seeds.slice(0, MOST_SEEDS), ...(left > 0 ? [`and-${left}-more`] : [])].join("-");
}

/** What is said of a film before it is saved. rate: frames per second. */
function noteOf(side, rate) {
  const fewer = side === 512 ? "At 512 px this film" : "A film of this length";
  return [
    side === 512 && SLOW,
    rate < CHOPPY && `${fewer} is saved with ${Math.round(rate)} frames a second. Fewer faces or less time between `
      + "them give more.",
  ].filter(Boolean).join(" ");
}

/** Returns a function that shows how far the film is, and about how long the rest takes. */
function reporting({ $ }) {
  let begun = null; // {share, time} at which the frames were drawn, which is quick
  return ({ progress }) => {
    const now = performance.now() / 1000;
    if (!begun && progress >= DRAWN) begun = { share: progress, time: now };
    $(".film-bar").value = progress;
    if (begun) setText($(".film-left"), describeRest(1 - progress, progress - begun.share, now - begun.time));
  };
}

/** Creates the saving. player: see player.js. */
export function createSaving(view, player) {
  const { $, ask, attempt, say, slots, sharing } = view;
  const work = createLongWork(view.request, (on) => {
    $(".saving").hidden = !on;
    $(".film-bar").value = 0;
    $(".film-left").textContent = "";
  });

  const most = () => (slots.film().side === 512 ? view.model.largeFrames : view.model.frames);
  const length = () => framesOf(player.legs(), slots.film(), most());

  /** Says how long the film is, and what a saved one lacks. */
  function describe() {
    const legs = player.legs();
    const { seconds, side } = slots.film();
    for (const button of view.element.querySelectorAll('[data-do="save"]')) button.disabled = !legs;
    $(".length").textContent = legs ? `${player.faces().length} faces, ${describeSeconds(legs * seconds)}` : "";
    $(".save-note").textContent = legs ? noteOf(side, length().rate) : "";
  }

  const save = (button) => attempt(async () => {
    const { loop, easing, side } = slots.film();
    const { frames, rate } = length();
    const faces = player.faces();
    const suffix = button.dataset.suffix || view.model.endings[0];
    say("Preparing the film…");
    const begin = () => ask("film", faces, frames, loop, easing, rate, suffix, side);
    const file = await work.run(begin, reporting(view));
    if (!file) return undefined;
    const name = withSide(file.name.replace("film", nameOfFilm(faces)), side === 512 ? side : 0);
    download({ ...file, name });
    return say(`Saved ${name}.`);
  });

  view.onModel(({ side, endings }) => {
    $(".own-size").textContent = `This frame as PNG, ${side} px, exact`;
    $(".save").title = `As ${endings[0].slice(1).toUpperCase()}`;
  });
  return {
    describe,
    actions: {
      save,
      stop: () => {
        work.stop();
        say("Stopped.");
      },
      async frame(button) {
        await player.pause();
        return sharing.save(player.onView(), Number(button.dataset.size));
      },
      link: () => sharing.copyLink("walk", writeFilm(slots.film()), slots.film().faces, TOO_LONG),
    },
  };
}
