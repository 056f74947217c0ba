// Files that are dropped on the page: a face, a film, a tray, or any picture.
import { recipeOfFile } from "../core/file-recipe.js";
import { readFilm } from "../core/film-text.js";
import { isTabOpen } from "../shared/page-tabs.js";
import { parseRecipe } from "../shared/recipes.js";

/**
 * Opens a file: a tray, a face or a film that was saved here, or a picture whose closest face is then searched for. On
 * the Interpolate tab a face goes into the film.
 */
export function openFile(core, file) {
  return core.attempt(async () => {
    if (/\.json$/i.test(file.name) || file.type === "application/json") return core.tray.openFile(file);
    const recipe = await recipeOfFile(file);
    const film = recipe && readFilm(recipe, core.model.most);
    if (film) {
      const complete = await core.slots.open(film);
      return complete && core.say("Restored from the recipe in the film.");
    }
    if (isTabOpen("Interpolate") && (recipe || core.can("project"))) return core.addToFilm(file);
    if (!recipe) return core.searchPicture(file);
    if (!parseRecipe(recipe)) throw new Error("The recipe in this file is damaged.");
    return (await core.open({ recipe })) && core.say("Restored from the recipe in the file.");
  });
}

/**
 * Accepts files anywhere on the page; the browser would leave the page for them. Fields for files keep theirs. On the
 * Train tab, which has such fields, a file that misses them does nothing.
 */
export function acceptFiles(core, $) {
  function onDrag(type, act) {
    document.addEventListener(type, (event) => {
      if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (!isTabOpen("Train")) act(event);
    });
  }

  onDrag("dragover", () => { $(".drop").hidden = false; });
  onDrag("dragleave", (event) => { if (!event.relatedTarget) $(".drop").hidden = true; });
  onDrag("drop", (event) => {
    $(".drop").hidden = true;
    const [file] = event.dataTransfer.files;
    if (file && core.model) openFile(core, file);
  });
  return {};
}
