// Your picture: the face of the model that is closest to it. The large face turns into it during the search.
import { loadPicture } from "../shared/dom.js";
import { parseRecipe, withSettings } from "../shared/recipes.js";
import { squareOf } from "../shared/square.js";

const SHOWN = 256; // px of the picture beside the face
const FADE = 450; // ms from one face to the next closer one
const CLEARER = 0.6; // clarity of a found face that is to be clearer: above most of the model's, and still much alike

/** Lets the large face turn into closer ones as they are found; the variations are still those of the face before. */
function createApproach({ $ }, stage) {
  const markOld = (old) => $(".variations").setAttribute("aria-busy", String(old));
  let shown = null;
  let request = 0;

  function turnInto(picture, recipe) {
    cancelAnimationFrame(request);
    stage.describe(recipe, "The closest face so far");
    markOld(true);
    const before = shown || picture;
    const start = performance.now();
    shown = picture;
    function step(now) {
      const share = Math.min(1, (now - start) / FADE);
      stage.paintOver(before, picture, share);
      if (share < 1) request = requestAnimationFrame(step);
    }
    step(start);
  }

  return {
    turnInto,
    end() {
      cancelAnimationFrame(request);
      shown = null;
    },
    /** Shows the face before again. */
    goBack() {
      stage.restore();
      markOld(false);
    },
  };
}

/** Shows the picture that is searched for. */
function showWanted($, square) {
  $(".wanted-figure").hidden = false;
  const canvas = $(".wanted");
  canvas.width = canvas.height = SHOWN;
  canvas.getContext("2d").drawImage(square, 0, 0, SHOWN, SHOWN);
}

/** Shows the button for a found face that is blurred, or takes it away. */
function offerClearer({ $ }, on) {
  $('[data-do="clearer"]').hidden = !on;
}

async function makeClearer({ $, current, show }) {
  const { recipe } = current();
  const { truncation = 1 } = parseRecipe(recipe);
  const shown = await show({ recipe: withSettings(recipe, { clarity: CLEARER, truncation }) });
  if (shown) $(".near-text").textContent = "Clearer, and a little less alike. The slider Clarity takes it further.";
}

/** Creates the tool. Its search(file) looks for the closest face. */
export function createPictureSearch(view, tools, stage, searches) {
  const { $, ask, pictures, say, complain } = view;
  const approach = createApproach(view, stage);
  let best = ""; // the recipe of the closest face so far, while a search is running
  let stopped = false; // whether the visitor has ended the search with a face that is being shown

  async function report({ face, recipe }, before) {
    if (!face || before !== view.current()) return;
    const closer = await loadPicture(face);
    if (before !== view.current()) return;
    best = recipe;
    approach.turnInto(closer, best);
  }

  async function finish(answer, before) {
    const [recipe] = await pictures.addSheet(answer);
    $(".near-text").textContent = answer.text;
    if (before === view.current()) return await view.show({ recipe }) && offerClearer(view, answer.blurred);
    view.tray.keep(recipe);
    return say("The closest face was found. It is in your tray, because you have moved on meanwhile.");
  }

  async function run(file) {
    const square = await squareOf(file);
    const before = view.current();
    tools.open("picture");
    showWanted($, square);
    $(".near-text").textContent = "";
    offerClearer(view, false);
    const picture = square.toDataURL("image/jpeg", 0.95).split(",")[1];
    [best, stopped] = ["", false];
    const begin = () => ask("project", picture);
    let answer = null;
    try {
      answer = await searches.run("pick", "Searching…", begin, (event) => report(event, before));
    } finally {
      approach.end();
      if (!answer && !stopped && before === view.current()) approach.goBack();
    }
    return answer ? finish(answer, before) : undefined;
  }

  view.onFace(() => { // a face that is chosen during the search ends the approach to the picture
    approach.end();
    best = "";
    offerClearer(view, false);
  });
  return {
    search: (file) => view.attempt(() => run(file)),
    actions: {
      clearer: () => makeClearer(view),
      async "stop-search"() {
        const recipe = best;
        stopped = recipe !== "";
        searches.stop();
        approach.end();
        if (!recipe) return complain("Stopped before a face was found.");
        $(".near-text").textContent = "Stopped. This is the closest face so far.";
        return await view.show({ recipe }) ?? approach.goBack();
      },
    },
  };
}
