// The large face in motion: it turns into others while nobody has touched the page yet, and in the show.
import { isLaidOut } from "../shared/dom.js";
import { isTabOpen } from "../shared/page-tabs.js";
import { reducedMotion } from "../shared/motion.js";
import { describeRecipe, parseRecipe, randomSeed } from "../shared/recipes.js";

const FRAMES = 20; // drawn from one face to the next; between them pictures are mixed
const SECONDS = { wait: 3.5, morph: 2.6, rest: 3.2 };
// A click without a press comes from assistive technology.
const TOUCHES = ["pointerdown", "keydown", "wheel", "click", "focusin", "dragenter"];
const IDLE_FACES = 4; // after which the motion begins again with the first one, without new requests
const CLICK = 400; // ms from the press of a button to its click

const sleep = (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });
const isPlain = (recipe) => { const { vector, toward } = parseRecipe(recipe); return !vector && toward === undefined; };

const isVisible = ({ canvas }) => document.visibilityState === "visible" && isLaidOut(canvas);

/** What is said of a face on the way to another one: what stays the same on that way. */
const wordsInMotion = (recipe) => describeRecipe(recipe).replace(/^\d+% from/, "From");

/**
 * Creates a motion of the large face, which halt() ends; the face on view then becomes the current one.
 *
 * ended(): called when a motion is over.
 */
function createMotion(view, stage, ended) {
  const { pictures, drawing } = view;
  let motion = null; // {first, standing}: the face at its beginning; the recipe of the one on view

  /** Draws the way from one face to another. */
  async function load(from, to) {
    const [[last], between] = await Promise.all([
      pictures.has(to) ? [to] : drawing.draw([to]), drawing.between(from, to, FRAMES)]);
    return [from, ...between, last].map((recipe) => ({ recipe, picture: pictures.get(recipe) }));
  }

  function stand(mine, recipe) {
    if (recipe === mine.standing) return;
    mine.standing = recipe;
    stage.describe(recipe, wordsInMotion(recipe));
  }

  /** Plays a way that begins with what is on the stage, sharp if it is. */
  async function play([{ picture, recipe }, ...others], mine) {
    const way = [{ picture: await createImageBitmap(stage.canvas).catch(() => picture), recipe }, ...others];
    const start = performance.now();
    for (let share = 0; share < 1;) {
      const now = await new Promise((resolve) => { requestAnimationFrame(resolve); });
      if (motion !== mine) return;
      share = Math.min(1, (now - start) / (SECONDS.morph * 1000));
      const at = share * share * (3 - 2 * share) * (way.length - 1);
      const index = Math.min(way.length - 2, Math.floor(at));
      stage.paintOver(way[index].picture, way[index + 1].picture, at - index);
      stand(mine, way[Math.round(at)].recipe);
    }
  }

  /** Makes the face on view the current one; all of a motion are one step to undo. */
  const become = ({ first, standing }) => view.show({ recipe: standing }, view.current() !== first);

  function end() {
    motion = null;
    ended();
  }

  function halt() {
    if (!motion) return false;
    const halted = motion;
    end();
    if (halted.standing === view.current().recipe) stage.restore(); // a mixture with the next one is on view
    else become(halted);
    return true;
  }

  view.onFace(({ recipe }) => motion && recipe !== motion.standing && end()); // one that was chosen meanwhile
  return {
    halt,
    /** Turns the face into others, of which next(step) names one, now or later; follow: whether it becomes current. */
    async move(next, follow) {
      const mine = { first: view.current(), standing: view.current().recipe };
      const ways = new Map(); // that come again, so that a page left open asks for nothing
      motion = mine;
      for (let step = 1; motion === mine; step += 1) {
        const [from, to] = [mine.standing, await next(step)];
        const name = `${from} ${to}`;
        const way = ways.get(name) || (to && await load(from, to).catch(() => null));
        if (!way) break;
        if (ways.size <= IDLE_FACES) ways.set(name, way);
        do await sleep(step === 1 ? 0.2 : SECONDS.rest); while (motion === mine && !isVisible(stage));
        if (motion === mine) await play(way, mine);
        if (motion === mine) await (follow ? become(mine) : stage.preview(mine.standing));
      }
      if (motion === mine) halt();
    },
  };
}

/** Creates the idle motion and the show; returns the action of the button Show. */
export function createMorph(view, stage) {
  const button = view.$('[data-do="show"]');
  const motion = createMotion(view, stage, () => button.setAttribute("aria-pressed", "false"));
  let touched = false;
  let halted = 0; // the time at which a touch ended a motion

  /** Moves the first face until the page is touched. */
  async function idle(first) {
    const { openers } = view.model;
    await sleep(SECONDS.wait);
    const untouched = !touched && first === view.current() && isTabOpen("Create");
    if (untouched) await motion.move((step) => view.faceOfSeed(openers[step % IDLE_FACES]), false);
  }

  for (const type of TOUCHES) {
    document.addEventListener(type, () => {
      touched = true;
      if (motion.halt()) halted = performance.now();
    }, { capture: true, passive: true });
  }
  view.onFirstFace((face) => {
    if (isPlain(face.recipe) && !reducedMotion.matches && !view.place.named) idle(face); // a link's stays
  });
  return {
    actions: {
      show() {
        if (performance.now() - halted < CLICK) return; // this very click has ended it
        button.setAttribute("aria-pressed", "true");
        const fresh = () => view.drawing.fresh(1, randomSeed(), view.settings).then(([recipe]) => recipe, () => "");
        motion.move(fresh, true); // so that sliders and variations follow
      },
    },
  };
}
