// The film on view. It plays drawn frames and mixes neighbours; where it pauses, the frame is on view as a face.
import { isLaidOut } from "../shared/dom.js";
import { createClock, reducedMotion } from "../shared/motion.js";
import { onTab } from "../shared/page-tabs.js";
import { createReel } from "./reel.js";
import { placeOf, timeOf } from "./route.js";
import { createScreen } from "./screen.js";

/** Shows places of the film, and faces. moved(slot): called with the slot that the film is nearest to. */
function createProjection(view, reel, screen, moved) {
  let place = 0; // in frames, with a fraction
  let face = ""; // the recipe of the face on view that the film has halted at; "" for the current face
  let settled = true; // whether a face is on view, and no mixture of frames
  let standsIn = false; // whether that face stands in for a frame that is not drawn yet

  function moveTo(next) {
    place = next;
    const slot = reel.slotAt(place);
    const count = view.slots.film().faces.length;
    const words = slot === undefined ? "There is no film" : `Near face ${slot + 1} of ${count}`;
    screen.moveTo(place, words);
    moved(slot ?? -1);
  }

  return {
    place: () => place,
    moveTo,
    /** Shows the film at a place. */
    show(next) {
      moveTo(next);
      const mix = reel.mixAt(place);
      if (!mix) return;
      [settled, standsIn] = [false, false];
      screen.showFrames(...mix);
    },
    isSettled: () => settled,
    isStandIn: () => standsIn,
    /** Whether the film has halted at a frame that the model in use has drawn. */
    isAtFrame: () => Boolean(face) && view.isOfModel(face),
    /** The recipe of the face on view: that of the frame that the film has halted at, or the current one. */
    onView: () => face || view.current().recipe,
    showCurrent() {
      [face, settled, standsIn] = ["", true, false];
      screen.showFace(view.current().recipe);
    },
    /** Shows a face at a place, which is drawn again where its picture is gone. */
    async showFace(next, recipe) {
      moveTo(next);
      [face, settled, standsIn] = [recipe, true, !reel.isDrawn(place) && reel.faceExactlyAt(place) === undefined];
      if (!view.pictures.has(recipe)) await view.attempt(() => view.drawing.draw([recipe]));
      if (face === recipe && settled) screen.showFace(recipe);
    },
  };
}

/** Starts and halts the film. Its `resting` says whether the visitor wants no motion now. turned(): see below. */
function createCourse(view, reel, screen, projection, turned) {
  const { element, slots } = view;
  const clock = createClock(element, advance);
  let waiting = false; // for frames that are being drawn

  /** Waits for the frames that come next; a film whose frames cannot be drawn halts. */
  async function wait() {
    if (waiting) return;
    waiting = true;
    const drawn = await reel.want(projection.place());
    waiting = false;
    if (!drawn) course.pause();
  }

  function advance(seconds) {
    const { easing, seconds: pace } = slots.film();
    const time = timeOf(projection.place(), reel.steps(), easing) + seconds / pace;
    const next = placeOf(time, reel.steps(), easing) % reel.end();
    if (reel.isDrawn(projection.place()) && reel.isDrawn(next)) return projection.show(next);
    wait();
    return projection.show(projection.place());
  }

  function setPlaying(playing) {
    if (playing) clock.start();
    else clock.stop();
    screen.setPlaying(playing);
    turned();
  }

  const course = {
    resting: reducedMotion.matches,
    playing: clock.running,
    play() {
      course.resting = false;
      if (!reel.legs()) return;
      if (projection.place() >= reel.end()) projection.moveTo(0);
      reel.want(projection.place());
      setPlaying(true);
    },
    stop: () => setPlaying(false),
    /** Halts at the frame nearest to a place. */
    settle(at) {
      course.resting = true;
      const recipe = reel.recipeAt(Math.round(at));
      const shown = recipe && projection.showFace(Math.round(at), recipe);
      course.stop();
      return shown;
    },
    pause: () => (clock.running() ? course.settle(projection.place()) : undefined),
  };
  return course;
}

/** Calls act() with each current face, but for one that arrives on this tab and was asked for on another one. */
function onOwnFace(view, act) {
  let before = 0; // how many faces had been asked for when a tab was opened
  onTab(() => { before = view.asked(); });
  view.onFace(() => { if (!isLaidOut(view.element) || view.asked() !== before) act(); });
}

/** Has the film follow its slider: it shows mixtures while that is dragged, and halts at a frame. */
function followSlider(slider, course, projection) {
  slider.addEventListener("pointerdown", () => { slider.step = "any"; }); // else the keys go from frame to frame
  slider.addEventListener("input", () => {
    course.stop();
    projection.show(Number(slider.value));
  });
  slider.addEventListener("change", () => {
    slider.step = 1;
    course.settle(Number(slider.value));
  });
}

/** Creates it. moved(slot): called with the slot that the film is nearest to; turned(): where it starts or halts. */
export function createPlayer(view, moved, turned) {
  const { element, slots } = view;
  const screen = createScreen(view);
  const reel = createReel(view, () => refresh());
  const projection = createProjection(view, reel, screen, moved);
  const course = createCourse(view, reel, screen, projection, turned);

  /** Shows what is there now. */
  function refresh() {
    if (course.playing()) return;
    if (!course.resting) course.play();
    else if (projection.isStandIn() && reel.isDrawn(projection.place())) course.settle(projection.place());
    else if (!projection.isSettled()) projection.show(projection.place());
  }

  /** Takes over a film; the place stays at the face that is on view, wherever that is now. */
  function load(film) {
    const [before, face] = [projection.place() / reel.steps(), reel.faceExactlyAt(projection.place())];
    reel.load(film);
    screen.setLength(reel.end(), reel.legs());
    const isThere = face === undefined || reel.faces()[before] === face; // a film may have a face twice
    const now = isThere ? -1 : reel.faces().indexOf(face);
    projection.moveTo(Math.min((now < 0 ? before : now) * reel.steps(), reel.end()));
    if (!reel.legs()) course.stop();
    if (!isLaidOut(element)) return;
    reel.want(projection.place());
    refresh();
  }

  followSlider(screen.slider, course, projection);
  reducedMotion.addEventListener("change", () => reducedMotion.matches && course.pause());
  onOwnFace(view, () => {
    if (course.playing() && isLaidOut(element)) { // it was chosen to be seen, as in the tray
      course.resting = true;
      course.stop();
    }
    if (!course.playing() && (isLaidOut(element) || !projection.isAtFrame())) projection.showCurrent();
  });

  return {
    load,
    faces: reel.faces,
    legs: reel.legs,
    playing: course.playing,
    pause: course.pause,
    onView: projection.onView,
    toggle: () => (course.playing() ? course.pause() : course.play()),
    /** Goes on where the tab is opened again; a film that has halted shows what it has there. */
    resume() {
      load(slots.film());
      return course.resting ? course.settle(projection.place()) : course.play();
    },
    /** Plays the way to the face of a slot. */
    approach(slot) {
      if (reel.placeOf(slot) >= 0) projection.moveTo(Math.max(0, reel.placeOf(slot) - reel.steps()));
      if (!reducedMotion.matches) course.play();
    },
    /** Shows the face of a slot. */
    goTo: (slot) => (reel.placeOf(slot) < 0 ? undefined : course.settle(reel.placeOf(slot))),
  };
}
