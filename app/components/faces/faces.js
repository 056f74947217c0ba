// What uploaded faces are, before a model is trained on them. File names come from strangers and stay text.
// props.value = {sheet, rows: [[what, how many]], skipped: [{name, reason}], more, advice} or {error} or {}
import { create, finder, listenOutside, onMessage } from "../shared/dom.js";

const text = (tag, textContent) => create(tag, { textContent });

function show($, value) {
  $(".alert").textContent = value.error || "";
  if (value.error) return; // the faces that were added before are still there
  $(".audit").hidden = !value.sheet;
  if (!value.sheet) return;
  $(".contact").src = value.sheet;
  $(".counts").replaceChildren(...value.rows.flatMap(([what, count]) => [text("dt", what), text("dd", count)]));
  $(".advice").replaceChildren(...value.advice.map((line) => text("li", line)));
  $(".skipped").hidden = !value.skipped.length;
  $(".skipped summary").textContent = `Skipped files: ${value.skipped.length + value.more}`;
  const files = value.skipped.map(({ name, reason }) => text("li", `${name}: ${reason}`));
  if (value.more) files.push(text("li", `and ${value.more} more`));
  $(".skipped ul").replaceChildren(...files);
}

/** Starts the view of uploaded faces in its element. */
export function mount({ element, props, watch }) {
  const update = () => show(finder(element), props.value || {});
  watch("value", update);
  update();
  const clear = () => { finder(element)(".alert").textContent = ""; };
  onMessage(element, clear);
  // What is wrong with some faces is no longer of interest once others are on their way.
  for (const type of ["click", "change"]) {
    listenOutside(element, document, type, ({ target }) => {
      if (target.closest?.("#faces-files, #other-faces")) clear();
    });
  }
}
