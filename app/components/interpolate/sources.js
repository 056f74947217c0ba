// Where faces of the film come from: a roll, the current face, the tray, a picture or a file.
import { recipeOfFile } from "../core/file-recipe.js";
import { openFile } from "../dock/files.js";
import { onChosenFile } from "../shared/dom.js";
import { createLongWork } from "../shared/long-work.js";
import { parseRecipe, randomSeed } from "../shared/recipes.js";
import { squareOf } from "../shared/square.js";
import { connectArrows, createTile } from "../shared/tiles.js";

/** Searches for the closest faces to pictures. */
function createSearch({ $, ask, request, pictures, say }) {
  const work = createLongWork(request, (on) => {
    $(".searching").hidden = !on;
    $(".search-bar").value = 0;
  });

  return {
    /** Returns the recipe of the face that is closest to a picture file, null where the search was stopped. */
    async find(file) {
      const square = await squareOf(file);
      say("Searching for the closest face…");
      const begin = () => ask("project", square.toDataURL("image/jpeg", 0.95).split(",")[1]);
      const answer = await work.run(begin, ({ progress }) => { $(".search-bar").value = progress; });
      if (!answer) return null;
      say(answer.text);
      return (await pictures.addSheet(answer))[0];
    },
    stop: work.stop,
  };
}

/** Shows the faces of the tray in a menu; place(recipe): called for the one that is chosen. */
function connectTray(view, place) {
  const { $, tray } = view;
  tray.onTray(() => {
    const here = tray.drawable();
    $(".from-tray").replaceChildren(...here.map((recipe) => createTile(view, recipe, () => {
      $(".tray-menu").open = false;
      place(recipe);
    })));
    $(".tray-note").textContent = here.length ? "" : "Faces that you keep with ♥ can be chosen here.";
  });
  connectArrows($(".from-tray"));
}

/** Creates the sources. order: see order.js. placed(slot): called when a face was put into a slot. */
export function createSources(view, order, placed) {
  const { $, attempt, drawing, pictures } = view;
  const search = createSearch(view);
  const place = (recipe) => placed(order.put(recipe));

  const roll = () => attempt(async () => {
    const [recipe] = await drawing.fresh(1, randomSeed(), view.settings);
    place(recipe);
  });

  view.onFace(({ recipe }) => pictures.paint($(".small"), recipe, 48));
  connectTray(view, place);
  view.setDice("Interpolate", roll);
  onChosenFile($(".film-file"), (file) => openFile(view, file));
  return {
    /** Takes a face from a file, or the face closest to a picture. */
    takeFile: (file) => attempt(async () => {
      const text = await recipeOfFile(file);
      if (text && !parseRecipe(text)) throw new Error("The recipe in this file is damaged.");
      const [recipe] = text ? await view.slots.drawn([text]) : [await search.find(file)];
      if (recipe) place(recipe);
    }),
    actions: {
      roll,
      current: () => place(view.current().recipe),
      pick: () => $(".film-file").click(),
      "stop-search": () => {
        search.stop();
        view.say("Stopped.");
      },
    },
  };
}
