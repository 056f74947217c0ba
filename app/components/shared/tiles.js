// Faces to click on.
import { create } from "./dom.js";
import { describeRecipe, parseRecipe } from "./recipes.js";

/** What a face is dragged as, for data transfers. */
export const FACE_TYPE = "application/x-ganime-face";

/** Why the model in use does not show a face, "" where it does. */
function whyUndrawn({ pictures, isOfModel }, recipe) {
  if (!isOfModel(recipe)) return `of ${parseRecipe(recipe).model}`;
  return pictures.has(recipe) ? "" : "cannot be drawn";
}

/** Creates a tile for a face, which says so where the model in use does not show that. It can be dragged. */
export function createTile(core, recipe, act, label = describeRecipe(recipe)) {
  const canvas = create("canvas");
  core.pictures.paint(canvas, recipe);
  const button = create("button", { type: "button", className: "mug" }, canvas);
  const why = whyUndrawn(core, recipe);
  button.setAttribute("aria-label", why ? `${label}, ${why}` : label);
  if (why) {
    button.classList.add("undrawn");
    button.title = why;
    button.append(create("span", { textContent: why }));
  }
  button.dataset.recipe = recipe;
  button.draggable = true;
  button.addEventListener("dragstart", (event) => event.dataTransfer.setData(FACE_TYPE, recipe));
  button.addEventListener("click", act);
  return button;
}

/** The heart of a tile, which keeps its face in the tray or takes it out. */
function createHeart(core, recipe) {
  const heart = create("button", { type: "button", className: "heart", textContent: "♥", tabIndex: -1 });
  heart.dataset.heart = recipe;
  heart.addEventListener("click", () => core.tray.toggle(recipe));
  return heart;
}

/** Marks the hearts inside an element whose faces are kept. */
export function markHearts(core, element) {
  for (const heart of element.querySelectorAll("[data-heart]")) {
    const kept = core.tray.has(heart.dataset.heart);
    heart.setAttribute("aria-pressed", String(kept));
    heart.setAttribute("aria-label", kept ? "Take this face out of the tray" : "Keep this face");
  }
}

/** Shows faces as tiles with hearts that become the current face when clicked. dim: those that do not quite match. */
export function showTiles(core, where, recipes, dim = []) {
  keepFocus(where, () => where.replaceChildren(...recipes.map((recipe, index) => {
    const label = `Face ${index + 1}: ${describeRecipe(recipe)}`;
    const tile = createTile(core, recipe, () => core.show({ recipe }), label);
    if (dim[index]) tile.classList.add("not-quite");
    return create("div", { className: "tile" }, tile, createHeart(core, recipe));
  })));
  core.seen.add(recipes);
  markHearts(core, where);
}

/** Replaces tiles; the focus stays at its place among them. */
export function keepFocus(where, replace) {
  const tiles = () => [...where.querySelectorAll(".mug")];
  const place = tiles().indexOf(document.activeElement);
  replace();
  const now = tiles();
  now.forEach((tile, index) => { tile.tabIndex = index === Math.max(0, place) ? 0 : -1; });
  if (place >= 0) now[Math.min(place, now.length - 1)]?.focus();
}

/** How many tiles an arrow key moves on in a grid of so many columns; undefined for other keys. */
export const stepOfArrow = (key, columns) => (
  { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key]);

/** Lets the arrow keys move among the tiles of a grid, of which one can be reached with Tab. */
export function connectArrows(where) {
  where.addEventListener("keydown", (event) => {
    const tiles = [...where.querySelectorAll(".mug")];
    const columns = getComputedStyle(where).gridTemplateColumns.split(" ").length;
    const step = stepOfArrow(event.key, columns);
    const place = tiles.indexOf(event.target);
    if (step === undefined || place < 0) return;
    event.preventDefault();
    const next = tiles[Math.max(0, Math.min(tiles.length - 1, place + step))];
    for (const tile of tiles) tile.tabIndex = tile === next ? 0 : -1;
    next.focus();
  });
}

/** Groups items by their `group`, in the order in which the groups appear. */
export function groupItems(items) {
  const groups = new Map();
  for (const item of items) groups.set(item.group, [...(groups.get(item.group) || []), item]);
  return groups;
}
