// The gallery of the Generate tab: an exact sheet of faces, cut into tiles; the selected one is shown large.
// props.value = {key, asked: [count, seed, clarity, boldness]}: the model and what the controls say. The server answers
// {key, model, revision, sheet, columns, side, truncation, clarity, faces: [{seed, recipe}]} or {error}; see
// gallery_value.
import { create, download, finder, loadPicture } from "../shared/dom.js";
import { drawLive } from "../shared/live.js";
import { createLongWork } from "../shared/long-work.js";
import { createRequest, saveFile } from "../shared/requests.js";
import { createSharpener } from "../shared/sharp.js";
import { cutTiles } from "../shared/sheets.js";

function createTile(canvas, seed, act) {
  canvas.className = "face";
  const caption = create("span", { className: "caption", textContent: seed });
  const button = create("button", { type: "button", className: "tile" }, canvas, caption);
  button.dataset.seed = seed;
  button.setAttribute("aria-label", `Seed ${seed}`);
  button.addEventListener("click", act);
  return button;
}

/** How many tiles an arrow key moves on in a grid; undefined for other keys. */
function stepOf(key, grid) {
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  return { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
}

/** Saves faces as a ZIP, with progress. */
function createZip({ element, request }) {
  const $ = finder(element);
  const work = createLongWork(request, (on) => {
    $(".zip-bar").hidden = $('[data-action="stop"]').hidden = !on;
    $(".zip-bar").value = 0;
  });

  return {
    async save(key, recipes, size) {
      $(".status").textContent = "Preparing the ZIP…";
      try {
        const begin = () => request("zip_file", key, recipes, size);
        const file = await work.run(begin, ({ progress }) => { $(".zip-bar").value = progress; });
        if (!file) return;
        download(file);
        $(".status").textContent = `Saved ${file.name}`;
      } catch (error) {
        $(".status").textContent = error.message;
      }
    },
    stop() {
      work.stop();
      $(".status").textContent = "Stopped.";
    },
  };
}

function createGallery({ element, trigger, request, server }) {
  const $ = finder(element);
  const [zip, sharpen] = [createZip({ element, request }), createSharpener($(".large"), server)];
  let answer = null; // the last one without an error
  let canvases = []; // its faces
  let selected = 0;

  function select(index, focus = false) {
    selected = Math.max(0, Math.min(index, answer.faces.length - 1));
    element.querySelectorAll(".tile").forEach((button, place) => {
      button.setAttribute("aria-pressed", String(place === selected));
      button.tabIndex = place === selected ? 0 : -1;
      if (focus && place === selected) button.focus();
    });
    showLarge();
  }

  function showLarge() {
    const { key, faces, model, revision, side, truncation, clarity } = answer;
    const { seed, recipe } = faces[selected];
    const large = $(".large");
    large.width = large.height = side;
    large.getContext("2d").drawImage(canvases[selected], 0, 0);
    sharpen(recipe, key);
    large.setAttribute("aria-label", `Face of seed ${seed}`);
    $(".seed").textContent = `Seed ${seed}`;
    $(".recipe").textContent = [
      model, `weights ${revision}`, `seed ${seed}`, `clarity ${clarity}`, `truncation ${truncation}`].join(" · ");
    $(".native").textContent = `PNG ${side} px`;
  }

  async function show(value) {
    $(".alert").textContent = value.error || "";
    if (!value.faces) return;
    const sheet = await loadPicture(value.sheet);
    answer = { ...value, sheet: "" };
    canvases = cutTiles(sheet, value, value.faces.length);
    $(".stage").hidden = false;
    $(".stage").dataset.key = value.key;
    const tiles = value.faces.map(({ seed }, index) => createTile(canvases[index], seed, () => select(index)));
    $(".tiles").replaceChildren(...tiles);
    $(".status").textContent = "";
    select(selected);
  }

  $(".tiles").addEventListener("keydown", (event) => {
    const step = stepOf(event.key, $(".tiles"));
    if (step === undefined) return;
    event.preventDefault();
    select(selected + step, true);
  });

  const actions = {
    png: (button, { key }, { recipe }) => saveFile(button, $(".status"), () => (
      request("face_file", key, recipe, Number(button.dataset.size)))),
    zip: (button, { key, faces }) => zip.save(key, faces.map(({ recipe }) => recipe), Number(button.dataset.size)),
    stop: zip.stop,
    send: (button, _, { seed, recipe }) => trigger("send", { slot: button.dataset.slot, seed, recipe }),
  };
  element.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (button && answer) actions[button.dataset.action](button, answer, answer.faces[selected]);
  });
  return { show };
}

/** Starts the gallery in its element. */
export function mount(component) {
  const gallery = createGallery({ ...component, request: createRequest(component) });
  drawLive(component, component.element.querySelector(".tiles"), gallery.show);
}
