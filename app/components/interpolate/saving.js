// The film as a file, its frame as a PNG, and a link to it.
import { writeFilm } from "../core/film-text.js";
import { download } from "../shared/dom.js";
import { createLongWork } from "../shared/long-work.js";
import { describeSeconds, framesOf } from "./route.js";

const TOO_LONG = "This film is too long for a link, because edited faces hold all their numbers. Save it instead: the "
  + "file can be dropped on this page.";
const CHOPPY = 12; // frames per second below which a note says so

/** Creates the saving. player: see player.js. */
export function createSaving(view, player) {
  const { $, ask, attempt, say, slots, sharing } = view;
  const work = createLongWork(view.request, (on) => {
    $(".saving").hidden = !on;
    $(".film-bar").value = 0;
  });

  const most = () => (slots.film().side === 512 ? view.model.largeFrames : view.model.frames);
  const length = () => framesOf(player.legs(), slots.film(), most());

  /** Says how long the film is, and what a saved one lacks. */
  function describe() {
    const legs = player.legs();
    const { seconds, side } = slots.film();
    for (const button of view.element.querySelectorAll('[data-do="save"]')) button.disabled = !legs;
    $(".length").textContent = legs ? `${player.faces().length} faces, ${describeSeconds(legs * seconds)}` : "";
    const { rate } = legs ? length() : { rate: CHOPPY };
    const fewer = side === 512 ? "At 512 px this film" : "A film of this length";
    $(".save-note").textContent = rate >= CHOPPY ? "" : (
      `${fewer} is saved with ${Math.round(rate)} frames a second. Fewer faces or less time between them give more.`);
  }

  const save = (button) => attempt(async () => {
    const { loop, easing, side } = slots.film();
    const { frames, rate } = length();
    const suffix = button.dataset.suffix || view.model.endings[0];
    say("Preparing the film…");
    const begin = () => ask("film", player.faces(), frames, loop, easing, rate, suffix, side);
    const file = await work.run(begin, ({ progress }) => { $(".film-bar").value = progress; });
    if (!file) return undefined;
    download(file);
    return say(`Saved ${file.name}.`);
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
        return sharing.save(view.current().recipe, Number(button.dataset.size));
      },
      link: () => sharing.copyLink("walk", writeFilm(slots.film()), slots.film().faces, TOO_LONG),
    },
  };
}
