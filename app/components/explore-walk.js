// Animate and See inside. All frames of a walk come in one exact sheet, so that playing and scrubbing ask for nothing.
let stroll = null; // {image, columns, side, frames}
const cell = document.createElement("canvas"); // one frame at its own size, so that scaling mixes in no neighbour
let playing = 0;
let insideAsked = 0;

const kept = () => tray.filter((recipe) => pictures.has(recipe) && drawnHere(recipe));

// As many frames as fit what is asked for into what is drawn at once.
function framesOf(many) {
  const legs = $(".loop").checked ? many : many - 1;
  const gap = Math.max(2, Math.min(120, Math.round(Number($(".gap").value)) || 16));
  return Math.max(2, Math.min(model.frames, legs * gap + ($(".loop").checked ? 0 : 1)));
}

function walkHint(many) {
  for (const name of ["stroll", "film"]) {
    element.querySelectorAll(`[data-do="${name}"]`).forEach((button) => { button.disabled = many < 2; });
  }
  $(".walk-hint").textContent = many < 2
    ? "Keep two or more faces in the tray first; the walk goes through them in their order."
    : `Through the ${many} faces of the tray in their order: ${framesOf(many)} frames of at most ${model.frames}.`;
}

function frame() {
  if (!stroll) return;
  const { image, columns, side } = stroll;
  const index = Number($(".stroll-at").value);
  const canvas = $(".stroll");
  canvas.dataset.index = index;
  const [column, row] = [index % columns, Math.floor(index / columns)];
  cell.getContext("2d").drawImage(image, column * side, row * side, side, side, 0, 0, side, side);
  canvas.getContext("2d").drawImage(cell, 0, 0, canvas.width, canvas.height);
}

function pause() {
  clearInterval(playing);
  playing = 0;
  $('[data-do="play"]').textContent = "▶";
  $('[data-do="play"]').setAttribute("aria-label", "Play");
}

function play() {
  pause();
  if (!stroll) return;
  $('[data-do="play"]').textContent = "❚❚";
  $('[data-do="play"]').setAttribute("aria-label", "Pause");
  const speed = Math.max(1, Math.min(60, Number($(".speed").value) || 20));
  playing = setInterval(() => {
    if (!element.isConnected) return pause();
    if (element.offsetParent === null || !isOpen("animate")) return undefined;
    $(".stroll-at").value = (Number($(".stroll-at").value) + 1) % stroll.frames;
    return frame();
  }, 1000 / speed);
}

Object.assign(actions, {
  stroll: (button) => attempt(async () => {
    const recipes = kept();
    button.disabled = true;
    try {
      const answer = await ask("walk", recipes, framesOf(recipes.length), $(".loop").checked);
      stroll = { ...answer, image: await pictureOf(answer.sheet) };
    } finally {
      button.disabled = false;
    }
    const canvas = $(".stroll");
    canvas.hidden = $(".stroll-bar").hidden = false;
    cell.width = cell.height = stroll.side;
    canvas.width = canvas.height = 384;
    canvas.getContext("2d").imageSmoothingQuality = "high";
    $(".stroll-at").max = stroll.frames - 1;
    $(".stroll-at").value = 0;
    frame();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
  }),
  play: () => (playing ? pause() : play()),
  film: (button) => {
    const [recipes, loop, size] = [kept(), $(".loop").checked, Number($(".side").value)];
    const speed = Math.max(1, Math.min(60, Number($(".speed").value) || 20));
    return fetchFile(button, () => server.walk_file(
      [model.key, recipes, framesOf(recipes.length), loop, speed, button.dataset.suffix, size],
    ));
  },
});
opened.animate = () => walkHint(kept().length);
for (const name of [".gap", ".loop"]) $(name).addEventListener("change", () => walkHint(kept().length));
$(".speed").addEventListener("change", () => playing && play());
$(".stroll-at").addEventListener("input", () => { pause(); frame(); });

// See inside

function lookInside() {
  const ticket = ++insideAsked;
  return attempt(async () => {
    const { layers } = await ask("inside", current().recipe);
    if (ticket !== insideAsked) return;
    $(".layers").replaceChildren(...layers.map(({ name, shape, tiles, url }) => {
      const picture = made("img", { src: url, alt: `${tiles} maps of the layer ${name}` });
      const caption = made("figcaption", {}, made("strong", { textContent: name }), ` ${shape}`);
      return made("figure", {}, caption, picture);
    }));
  });
}

opened.inside = lookInside;
painted.push(() => isOpen("inside") && lookInside());
