// The large face: plain at once, sharp a moment later.
import { isLaidOut } from "../shared/dom.js";
import { paintMix, scrollTo } from "../shared/motion.js";
import { describeLook, describeRecipe, parseRecipe } from "../shared/recipes.js";
import { createSharpener } from "../shared/sharp.js";

const SIDE = 512; // px
const LEAST_SEEN = 120; // px of the large face, with which a click on another one does not scroll to it
const HALF = 0.5; // of the large face
const PINNED = 188; // px at the top of the window that a pinned face takes

/**
 * Marks the face as pinned while the tools or the variations are on view and it is not: on a phone, they lie below it.
 *
 * create.css makes a small face at the top of the window of it there.
 */
function keepInView({ $ }) {
  const [face, ...below] = [".window", ".bench", ".strip"].map($);
  const onView = new Set();

  function note(entries) {
    for (const { target, intersectionRatio, isIntersecting } of entries) {
      if (target === face ? intersectionRatio >= HALF : isIntersecting) onView.add(target);
      else onView.delete(target);
    }
    face.classList.toggle("pinned", !onView.has(face) && below.some((part) => onView.has(part)));
  }

  new IntersectionObserver(note, { threshold: HALF }).observe(face);
  const others = new IntersectionObserver(note, { rootMargin: `-${PINNED}px 0px 0px` });
  for (const part of below) others.observe(part);
}

/** Creates the stage. It shows the current face, or other pictures until the next one. */
export function createStage(view) {
  const { $, pictures } = view;
  const canvas = $(".now");
  const sharpen = createSharpener(canvas, view.drawing);

  function showKept() {
    const kept = view.tray.has(canvas.dataset.recipe);
    $('[data-do="keep"]').setAttribute("aria-pressed", String(kept));
    $('[data-do="keep"]').textContent = kept ? "♥ Kept" : "♥ Keep";
  }

  /** Says which face is on view, which in motion is not the current one. */
  function describe(recipe, words = describeRecipe(recipe)) {
    const { model, revision, truncation = 1, clarity = 0 } = parseRecipe(recipe);
    view.standIn(recipe);
    canvas.dataset.recipe = recipe;
    canvas.setAttribute("aria-label", `The current face: ${words}`);
    $(".made-by").textContent = [words, describeLook(recipe, view.model.clarity)].filter(Boolean).join(" · ");
    $(".recipe").textContent = [
      model, `weights ${revision}`, words.toLowerCase(), `clarity ${clarity}`, `truncation ${truncation}`].join(" · ");
    showKept();
  }

  function paint({ recipe }) {
    pictures.paint(canvas, recipe, SIDE);
    sharpen(recipe);
    describe(recipe);
  }

  /** Scrolls to the large face where a face was clicked far below it, as on a phone. */
  function scrollUp() {
    const { bottom } = canvas.getBoundingClientRect();
    if (bottom > LEAST_SEEN || !isLaidOut(canvas) || !document.activeElement?.closest("#create .mug")) return;
    scrollTo($(".window"));
  }

  /** Takes over the sharp picture of the first face from the page's HTML, see app/server/first_faces.py. */
  function takeFirst({ recipe }) {
    const picture = document.querySelector("#first-faces img");
    const isFirst = parseRecipe(recipe).seed === view.model.openers[0];
    if (isFirst && picture?.naturalWidth === SIDE) sharpen.know(recipe, picture);
  }

  keepInView(view);
  view.onFace(takeFirst);
  view.onFace(paint);
  view.onFace(scrollUp);
  view.tray.onTray(showKept);
  view.onModel(({ side }) => { $(".own-size").textContent = `${side} px, exact`; });
  view.onBusy((busy) => $(".window").setAttribute("aria-busy", String(busy)));
  return {
    canvas,
    /** Shows a picture, or a mixture of two: `share` of the second one over the first. */
    paintOver(first, second = null, share = 0) {
      sharpen.cancel();
      canvas.width = canvas.height = SIDE;
      paintMix(canvas, first, second, share);
    },
    describe,
    /** Shows a face that need not be the current one, sharp a moment later. */
    preview: (recipe) => paint({ recipe }),
    /** Shows the current face again. */
    restore: () => paint(view.current()),
  };
}
