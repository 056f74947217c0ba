// The slots as tiles, and a last one for another face.
import { create } from "../shared/dom.js";
import { describeRecipe } from "../shared/recipes.js";
import { connectArrows, createTile, FACE_TYPE, keepFocus } from "../shared/tiles.js";

const SLOT_TYPE = "application/x-ganime-slot"; // what a slot is dragged as: its place

/** Lets keys move and remove the tile that has the focus. */
function connectKeys(where, order, count) {
  where.addEventListener("keydown", (event) => {
    const place = Number(event.target.closest("[data-slot]")?.dataset.slot ?? -1);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (place < 0) return;
    if (["Delete", "Backspace"].includes(event.key)) order.remove(place);
    else if (step && event.shiftKey) {
      const to = Math.max(0, Math.min(count() - 1, place + step));
      event.stopImmediatePropagation();
      order.move(place, to);
      where.querySelector(`[data-slot="${to}"]`).focus();
    } else return;
    event.preventDefault();
  });
  connectArrows(where);
}

/** Calls drop(transfer, slot) for faces that are dropped; slot: that of the tile below, null for none. */
function connectDrops(where, drop) {
  const tileOf = ({ target }) => target.closest?.(".tile");
  const isFace = ({ dataTransfer }) => Boolean(dataTransfer?.types.includes(FACE_TYPE));

  function mark(tile) {
    for (const marked of where.querySelectorAll(".over")) marked.classList.remove("over");
    tile?.classList.add("over");
  }

  where.addEventListener("dragover", (event) => {
    if (!isFace(event)) return;
    event.preventDefault();
    mark(tileOf(event));
  });
  where.addEventListener("dragleave", () => mark(null));
  where.addEventListener("drop", (event) => {
    if (!isFace(event)) return;
    event.preventDefault();
    mark(null);
    const slot = tileOf(event)?.querySelector("[data-slot]")?.dataset.slot;
    drop(event.dataTransfer, slot === undefined ? null : Number(slot));
  });
}

/** Creates the tiles. order: see order.js. press(place), placed(slot): called for a tile, and for a face dropped. */
export function createShelf(view, order, { press, placed }) {
  const { $, slots } = view;
  const where = $(".slots");
  let passing = -1; // the slot that the film is nearest to

  const faces = () => slots.film().faces;

  function createSlot(recipe, place) {
    const words = `Face ${place + 1} of the film: ${describeRecipe(recipe)}`;
    const tile = createTile(view, recipe, () => press(place), words);
    tile.setAttribute("aria-pressed", String(place === order.target()));
    tile.dataset.slot = place;
    const number = create("span", { className: "number", textContent: place + 1, ariaHidden: "true" });
    tile.addEventListener("dragstart", (event) => event.dataTransfer.setData(SLOT_TYPE, String(place)));
    return create("div", { className: `tile${place === passing ? " passing" : ""}` }, tile, number);
  }

  function createPlus() {
    const plus = create("button", { type: "button", className: "mug plus", textContent: "+", title: "Another face" });
    plus.setAttribute("aria-label", "Another face");
    plus.setAttribute("aria-pressed", String(order.target() === null));
    plus.addEventListener("click", () => order.aim(null));
    return create("div", { className: "tile" }, plus);
  }

  connectKeys(where, order, () => faces().length);
  connectDrops(where, (transfer, slot) => {
    const from = transfer.getData(SLOT_TYPE);
    if (from !== "") return order.move(Number(from), slot ?? faces().length - 1);
    return placed(order.put(transfer.getData(FACE_TYPE), slot));
  });

  return {
    show() {
      const full = faces().length >= view.model.most;
      keepFocus(where, () => where.replaceChildren(...faces().map(createSlot), ...(full ? [] : [createPlus()])));
    },
    /** Marks the slot that the film is nearest to. */
    pass(slot) {
      if (slot === passing) return;
      passing = slot;
      [...where.children].forEach((tile, index) => tile.classList.toggle("passing", index === slot));
    },
  };
}
