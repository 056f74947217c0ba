// Files that are chosen or dropped: a face, a tray, or any picture.
import { listenOutside } from "../shared/dom.js";
import { isTabOpen, openTab } from "../shared/page-tabs.js";
import { parseRecipe } from "../shared/recipes.js";
import { recipeOfFile } from "./png-recipe.js";

/** Starts to accept files; returns its actions. */
export function acceptFiles(stage, tray, pictureSearch) {
  const { $, element, attempt, say, complain } = stage;

  function open(file) {
    return attempt(async () => {
      if (/\.json$/i.test(file.name) || file.type === "application/json") return tray.openFile(file);
      const recipe = await recipeOfFile(file);
      if (!recipe) return pictureSearch.search(file);
      if (!parseRecipe(recipe)) throw new Error("The recipe in this PNG is damaged.");
      return (await stage.show({ recipe })) && say("Restored from the recipe in the file.");
    });
  }

  // A file may be dropped anywhere on the page; the browser would leave the page for it. Fields for files keep theirs.
  // On the Train tab, which has such fields, a file that misses them does nothing.
  function onDrag(type, act) {
    listenOutside(element, document, type, (event) => {
      if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (!isTabOpen("Train")) act(event);
    });
  }

  onDrag("dragover", () => $(".explore").classList.add("over"));
  onDrag("dragleave", () => $(".explore").classList.remove("over"));
  onDrag("drop", (event) => {
    $(".explore").classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (!file || !stage.model) return;
    complain("");
    openTab("Explore");
    open(file);
  });
  $(".chosen-file").addEventListener("change", () => {
    const [file] = $(".chosen-file").files;
    $(".chosen-file").value = "";
    if (file) open(file);
  });
  return { pick: () => $(".chosen-file").click() };
}
