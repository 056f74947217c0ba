// Dragging on the large face: sideways changes one trait, up and down another.
import { create } from "../shared/dom.js";
import { groupItems } from "../shared/tiles.js";

const CHOICES = { x: ["hair_length", "brightness"], y: ["smile", "open_mouth"] }; // preferred, in this order
const START = 6; // px before a press is a drag

/** Creates the pad. steer: see steer.js. */
export function createPad(view, steer) {
  const { $ } = view;
  const canvas = $(".now");
  const axes = { x: $(".pad-x"), y: $(".pad-y") };
  const chosen = new Set(); // the axes that the visitor has set
  let drag = null; // {x, y, amounts}: where it began

  view.onModel(({ steers }) => {
    $(".pad").hidden = steers.length < 2;
    canvas.classList.toggle("draggable", steers.length >= 2);
    for (const [axis, select] of Object.entries(axes)) {
      const before = select.value;
      select.replaceChildren(...[...groupItems(steers)].map(([label, items]) => (
        create("optgroup", { label }, ...items.map((item) => new Option(item.label, item.name))))));
      const others = [...CHOICES[axis], before, steers[axis === "x" ? 0 : 1]?.name];
      const wanted = chosen.has(axis) ? [before, ...others] : others;
      select.value = wanted.find((name) => steers.some((item) => item.name === name)) || "";
    }
  });

  for (const [axis, select] of Object.entries(axes)) select.addEventListener("change", () => chosen.add(axis));

  function move(event) {
    const distance = { x: event.clientX - drag.x, y: drag.y - event.clientY };
    if (!drag.moved && Math.hypot(distance.x, distance.y) < START) return;
    drag.moved = true;
    for (const [axis, select] of Object.entries(axes)) {
      const item = view.model.steers.find(({ name }) => name === select.value);
      if (!item) continue;
      const amount = (drag.amounts[item.name] || 0) + (6 * distance[axis]) / canvas.clientWidth;
      const [low, high] = item.range;
      steer.move(item.name, Math.round(10 * Math.max(low, Math.min(high, amount))) / 10);
    }
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" || event.button) return; // a finger scrolls, another button opens a menu
    if (!view.current() || !view.model.steers.length) return;
    canvas.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, amounts: steer.amounts(), moved: false };
  });
  canvas.addEventListener("pointermove", (event) => drag && move(event));
  for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, () => { drag = null; });
}
