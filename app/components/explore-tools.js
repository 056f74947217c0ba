// Vary, Steer and Mix.
const SETTLE = 40; // ms without a move, after which a slider's face is asked for
let variation = 0; // the seed of the neighbours
let neighboursAsked = 0;
let steering = false; // whether a face is under way
let steerTimer = 0;
let heading = null; // {base, amounts, name}: where the sliders stand while the stage is not there yet
let moved = false; // whether they have been moved since the last face was asked for
let parents = []; // recipes picked for Mix, in order; those that are still in the tray count

// Vary

function neighbours() {
  const ticket = ++neighboursAsked;
  return attempt(async () => {
    const answer = await ask("vary", current().recipe, Number($(".strength").value), variation);
    if (ticket === neighboursAsked) await showTiles(".neighbours", answer);
  });
}

opened.vary = neighbours;
painted.push(() => isOpen("vary") && neighbours());
$(".strength").addEventListener("input", () => { $(".strength-is").textContent = $(".strength").value; });
$(".strength").addEventListener("change", neighbours);
actions.others = () => {
  variation = chance();
  return neighbours();
};

// Steer: the sliders stand for the way from `base` to the face on the stage.

const steerState = () => {
  const { recipe, base, amounts } = current();
  return base ? { base, amounts } : { base: recipe, amounts: {} };
};

function slider({ name, label, title, own: mine }) {
  const input = made("input", { type: "range", min: -3, max: 3, step: 0.1, value: 0 });
  const output = made("output", { textContent: "0" });
  input.dataset.steer = name;
  input.addEventListener("input", () => {
    output.textContent = Number(input.value).toFixed(1);
    const { base, amounts } = heading || steerState();
    heading = { base, amounts: { ...amounts, [name]: Number(input.value) }, name };
    moved = true;
    clearTimeout(steerTimer);
    steerTimer = setTimeout(steer, SETTLE);
  });
  const field = made("label", { className: "steer", title: title || "" }, made("span", { textContent: label }), input, output);
  return mine ? made("div", { className: "mine" }, field, removeButton(name)) : field;
}

// One face at a time; of the moves that came meanwhile the last one counts. Moves of one slider are one step to undo.
async function steer() {
  if (steering || !moved) return;
  const { base, amounts, name } = heading;
  [steering, moved] = [true, false];
  const before = current();
  const used = Object.fromEntries(Object.entries(amounts).filter(([, amount]) => amount));
  await attempt(async () => {
    const [recipe] = Object.keys(used).length ? await take(await ask("steer", base, used, ownAmong(used))) : [base];
    if (before !== current()) return; // the visitor has gone elsewhere meanwhile
    await show({ recipe, base, amounts: used, slider: name }, before.slider === name && before.base === base);
  });
  steering = false;
  if (moved && before === current()) moved = false; // it could not be shown: the sliders go back
  if (moved) return steer();
  heading = null;
  return setSliders();
}

function setSliders() {
  if (moved) return; // a slider is in the visitor's hand
  const { amounts } = steerState();
  element.querySelectorAll("[data-steer]").forEach((input) => {
    input.value = amounts[input.dataset.steer] || 0;
    input.nextElementSibling.textContent = Number(input.value) ? Number(input.value).toFixed(1) : "0";
  });
}

function makeSliders() {
  const groups = groupsOf(steersHere());
  const unnamed = model.steers.length && model.steers.every(({ group }) => group === "Without a name");
  $(".steer-note").textContent = model.note || (unnamed
    ? "This model has no sliders with names. These patterns were found in the model itself: move one and see what it does."
    : "Each slider moves what it names, from -3 to 3, and as little else as it can.");
  $(".sliders").replaceChildren(...[...groups].map(([group, items]) => {
    const fold = made("details", { open: group !== "Without a name" || unnamed }, made("summary", { textContent: group }));
    fold.append(made("div", { className: "grid" }, ...items.map(slider)));
    return fold;
  }));
}

function groupsOf(items) {
  const groups = new Map();
  for (const item of items) groups.set(item.group, [...(groups.get(item.group) || []), item]);
  return groups;
}

painted.push(() => {
  const { base, recipe } = current();
  if (heading && heading.base !== (base || recipe)) [heading, moved] = [null, false]; // another face is on the stage
  setSliders();
});
actions.reset = () => {
  const { base, amounts } = steerState();
  if (Object.keys(amounts).length) return show({ recipe: base });
  return setSliders();
};

// Mix

function trayChanged() {
  const chosen = mixed();
  const here = tray.filter((recipe) => pictures.has(recipe) && drawnHere(recipe));
  $(".mix-hint").textContent = here.length < 2
    ? "Keep two or more faces in the tray first; then they can be mixed here."
    : "Pick faces in order: two to sixteen to breed, the first three as A, B and C for the sum.";
  $(".parents").replaceChildren(...here.map((recipe) => {
    const order = chosen.indexOf(recipe);
    const button = tile(recipe, () => toggleParent(recipe));
    button.setAttribute("aria-pressed", String(order >= 0));
    if (order >= 0) button.append(made("span", { className: "badge", textContent: "ABC"[order] || order + 1 }));
    return button;
  }));
  $('[data-do="breed"]').disabled = chosen.length < 2;
  $('[data-do="sum"]').disabled = chosen.length < 3;
  $('[data-do="own-faces"]').disabled = chosen.length < 2;
  walkHint();
}

const mixed = () => parents.filter((recipe) => tray.includes(recipe) && drawnHere(recipe));

function toggleParent(recipe) {
  const before = mixed();
  const after = before.includes(recipe) ? before.filter((other) => other !== recipe) : [...before, recipe].slice(0, 16);
  note("parents", before, after);
  parts.parents.put(after);
}

parts.parents = {
  words: "The faces picked for Mix are as they were.",
  put(recipes) {
    parents = recipes;
    trayChanged();
  },
};

Object.assign(actions, {
  breed: () => attempt(async () => {
    await showTiles(".children", await ask("breed", mixed(), Number($(".mutation").value), chance()));
  }),
  sum: () => attempt(async () => {
    const [recipe] = await take(await ask("mix", ...mixed().slice(0, 3)));
    await show({ recipe });
  }),
});
$(".mutation").addEventListener("input", () => {
  $(".mutation-is").textContent = `${Math.round($(".mutation").value * 100)} %`;
});
