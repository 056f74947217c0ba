// Where the visitor is, kept behind the # of the address: the tab, the face with its sliders, the tool, the gallery,
// the film. Reload, back and forward return there.
import { withoutLink } from "../shared/links.js";
import { isTabOpen, onTab, openTab, TABS } from "../shared/page-tabs.js";
import { parseRecipe } from "../shared/recipes.js";

const PAUSE = 300; // ms at least between two changes of the address, of which browsers allow only so many
const MOST = 6000; // characters
const NAMED = /[?#&](face|tray|walk)=/; // in an address: a face, a tray or a film

/** The place that an address names, {} for none. Its values are texts, of which `face` and `base` are recipes. */
export function readPlace(hash) {
  const place = Object.fromEntries(new URLSearchParams(hash.slice(1)));
  delete place.job; // the key of a training job never stays in an address
  for (const name of ["face", "base"]) if (name in place && !parseRecipe(place[name])) delete place[name];
  if ("tab" in place && !TABS.includes(place.tab)) delete place.tab;
  return place;
}

/** The part of an address that names a place; without the face where it would be too long. */
export function writePlace(place) {
  const given = Object.entries(place).filter(([, value]) => value !== "" && value !== undefined);
  const text = `#${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
  return text.length <= MOST || !place.face ? text : writePlace({ ...place, face: "", base: "", amounts: "" });
}

/** The amounts of sliders in an address, -3 to 3 by name; {} for what is none. */
export function readAmounts(text) {
  try {
    const amounts = JSON.parse(text || "{}");
    const entries = Array.isArray(amounts) ? [] : Object.entries(amounts);
    return Object.fromEntries(entries.filter(([, amount]) => Number.isFinite(amount) && Math.abs(amount) <= 3));
  } catch {
    return {};
  }
}

/** The address of the page at a place; the rest of its query stays, such as Gradio's `__theme`. */
const addressOf = (place) => location.pathname + withoutLink(location.search) + writePlace(place);

/** Creates the place. */
export function createPlace(core) {
  const named = NAMED.test(location.href);
  let place = readPlace(location.hash);
  let timer = 0; // 0 where the address may follow at once
  let late = false; // whether it does not say yet what `place` is

  function write() {
    late = false;
    if (!location.hash.startsWith("#job=")) history.replaceState(null, "", addressOf(place));
  }

  function set(changes) {
    place = { ...place, ...changes };
    late = true;
    if (timer) return;
    write();
    timer = setTimeout(follow, PAUSE);
  }

  function follow() {
    timer = 0;
    if (late) set({});
  }

  core.onFace(({ recipe, base, amounts }) => set({
    face: recipe, base: base || "", amounts: base ? JSON.stringify(amounts) : "",
  }));
  onTab((tab) => {
    if (tab === (place.tab || TABS[0])) return;
    write();
    place = { ...place, tab };
    history.pushState(null, "", addressOf(place));
    window.scrollTo({ top: 0 });
  });
  window.addEventListener("popstate", () => {
    const before = readPlace(location.hash);
    place = { ...before, film: place.film }; // which going back does not change
    write();
    const tab = before.tab || TABS[0];
    if (!isTabOpen(tab)) openTab(tab);
    if (before.face && before.face !== core.current()?.recipe) core.open(stepOf(before));
  });
  if (place.tab && !isTabOpen(place.tab)) openTab(place.tab);
  return {
    /** Whether the address of which the page was opened names something to look at. */
    named,
    /** What the address says now. */
    read: () => place,
    /** Notes changes; "" takes a value away. */
    set,
  };
}

/** The face of a place with its sliders, as show() takes it. */
export function stepOf({ face, base, amounts }) {
  return { recipe: face, ...(base ? { base, amounts: readAmounts(amounts) } : {}) };
}
