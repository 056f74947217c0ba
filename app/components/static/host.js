// The page without a server: loads what draws, and mounts the components as Gradio does on the server's page.
import { scrollClearOf } from "../shared/dom.js";
import { createWorker } from "../shared/workers.js";
import { recordableKinds } from "./recording.js";
import { createStudio } from "./studio.js";

const DRAWN = ".now[data-recipe]"; // there is a face on the page

const find = (selector) => document.querySelector(selector);
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

function showProgress({ arrived, whole }) {
  find(".loading-bar").max = whole;
  find(".loading-bar").value = arrived;
  find(".loading-words").textContent = arrived < whole
    ? `Loading: ${megabytes(arrived)} of ${megabytes(whole)} MB. Later visits load nothing.`
    : "Starting…";
}

/** Follows the colours that the visitor's system asks for. */
function followColours() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.body.classList.toggle("dark", dark.matches);
  dark.addEventListener("change", apply);
  apply();
}

/** Connects the tabs. opened(id): called when one is opened. */
function connectTabs(opened) {
  const tabs = [...document.querySelectorAll("[role=tab]")];

  function open(chosen) {
    for (const tab of tabs) {
      const on = tab === chosen;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !on;
    }
    opened(chosen.dataset.part);
  }

  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      next.click();
      next.focus();
    });
  }
}

/** Returns mount(name), which starts a component once. */
function createMount(modules, { draw, server }, model) {
  const mounted = new Set();
  const props = { value: model };
  const trigger = () => {};
  const watch = () => {};

  return (name) => {
    if (mounted.has(name)) return;
    mounted.add(name);
    const element = find(`#${name} > .part`);
    Promise.resolve(modules[`${name}/${name}.js`].mount({ element, props, server, trigger, watch, draw }))
      .catch((error) => console.error(error));
  };
}

/** Hides what needs a server, and the kinds of films that this browser cannot save. */
function hideLacking({ lacks, endings }) {
  for (const element of document.querySelectorAll("[data-needs], [data-suffix]")) {
    const { needs, suffix } = element.dataset;
    const lacking = lacks.includes(needs) || (suffix !== undefined && !endings.includes(suffix));
    element.classList.toggle("lacking", lacking);
  }
}

/** Uncovers the page once it shows a face. */
function uncover() {
  const cover = find("#first-faces");
  const timer = setInterval(() => {
    if (!find(DRAWN)) return;
    clearInterval(timer);
    cover.classList.add("done");
    setTimeout(() => cover.remove(), 300);
  }, 30);
}

/** Keeps the page for visits without a connection. */
function keepOffline() {
  navigator.serviceWorker?.register(new URL("service-worker.js", document.baseURI))
    .catch((error) => console.info(`This page needs a connection at each visit: ${error.message}`));
}

/** Starts the page. modules: of the components; about: of model.json. */
export async function start(modules, about) {
  followColours();
  const base = document.baseURI;
  const begin = async (part, report) => {
    const worker = createWorker(new URL(about.files.worker.path, base));
    await worker.call("start", [{ base, about, part }], report);
    return worker;
  };
  const artist = await begin("generator", showProgress);
  const model = { ...about.model, endings: [...Object.keys(recordableKinds()), ".png"] };
  const mount = createMount(modules, createStudio(artist, begin, model), model);
  hideLacking(model);
  connectTabs(mount);
  for (const name of ["dock", "header", "create"]) mount(name);
  scrollClearOf(find("#dock"));
  uncover();
  keepOffline();
}
