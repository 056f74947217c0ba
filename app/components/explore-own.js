// Your own: directions that a visitor has named, in this browser's storage. Each steers the weights that it was made for.
const OWN = "ganime-directions";
const MOST_NAME = 64;
const MOST_KEPT = 200; // of all models together
const VECTOR = /^[\w-]{3,10923}$/;
const vectors = new Map(); // by weights and name, also of removed ones: undo leads back to faces that they steered
let own = []; // [{name, model, revision, vector}]

const ownHere = () => own.filter(({ revision }) => revision === model.revision);

// What of a list from outside are directions, as they are kept.
function readOwn(list) {
  const good = (entry) => typeof entry?.name === "string" && entry.name.trim() && [...entry.name].length <= MOST_NAME
    && typeof entry.revision === "string" && typeof entry.vector === "string" && VECTOR.test(entry.vector);
  return (Array.isArray(list) ? list : []).filter(good).slice(0, MOST_KEPT)
    .map(({ name, model: of, revision, vector }) => ({ name, model: String(of ?? "").slice(0, 200), revision, vector }));
}

function storedOwn() {
  try {
    return readOwn(JSON.parse(localStorage.getItem(OWN)));
  } catch {
    return [];
  }
}

function putOwn(list) {
  own = list;
  for (const { name, revision, vector } of own) vectors.set(`${revision} ${name}`, vector);
  try {
    localStorage.setItem(OWN, JSON.stringify(own));
  } catch {
    complain("This browser stores nothing, so your directions are lost with this page. Export them with the tray.");
  }
  makeSliders();
  if (current()) setSliders();
  showExport();
}

function changeOwn(list) {
  note("own", own, list);
  putOwn(list);
}

parts.own = { words: "Your own directions are as they were.", put: putOwn };

// All sliders of the model: a visitor's own stand before those that nobody has named.
function steersHere() {
  const mine = ownHere().map(({ name }) => ({ name, label: name, group: "Your own", own: true }));
  const unnamed = ({ group }) => group === "Without a name";
  return [...model.steers.filter((item) => !unnamed(item)), ...mine, ...model.steers.filter(unnamed)];
}

// The vectors of the own ones among the sliders that are used.
function ownAmong(amounts) {
  const used = Object.keys(amounts).map((name) => [name, vectors.get(`${model.revision} ${name}`)]);
  return Object.fromEntries(used.filter(([, vector]) => vector));
}

function removeButton(name) {
  const button = made("button", { type: "button", textContent: "×", title: "Remove", className: "remove-own" });
  button.setAttribute("aria-label", `Remove ${name}`);
  button.addEventListener("click", () => {
    changeOwn(own.filter((entry) => entry.revision !== model.revision || entry.name !== name));
    say(`Removed “${name}”. Undo brings it back.`);
  });
  return button;
}

// Saves under the name in a field what make(name) asks the server for.
function nameOwn(field, make) {
  const name = $(field).value.trim();
  const taken = [...model.steers.map((item) => item.name), ...ownHere().map((entry) => entry.name)];
  if (!name) return complain("Give it a name first.");
  if (taken.includes(name)) return complain(`There is a slider ${name} already. Choose another name, or remove it first.`);
  if (ownHere().length >= model.mostOwn) {
    return complain(`You have ${model.mostOwn} of your own for this model, and more it does not hold. Remove some first.`);
  }
  return attempt(async () => {
    const { vector } = await make(name);
    changeOwn([...own, { name, model: model.model, revision: model.revision, vector }].slice(-MOST_KEPT));
    $(field).value = "";
    say(`Saved “${name}”: a slider under Your own.`);
  });
}

// Directions from a file are added to the own ones; of those that are there already the own stay. What was done, in words.
function takeOwn(list) {
  const there = new Set(own.map(({ name, revision }) => `${revision} ${name}`));
  const fresh = readOwn(list).filter(({ name, revision }) => !there.has(`${revision} ${name}`));
  if (!fresh.length) return "";
  changeOwn([...own, ...fresh].slice(0, MOST_KEPT));
  return ` ${fresh.length} of your own directions came with it.`;
}

Object.assign(actions, {
  "own-sliders": () => {
    const { amounts } = steerState();
    if (!Object.keys(amounts).length) return complain("Move at least one slider first.");
    return nameOwn(".own-name", (name) => ask("own_sliders", name, amounts, ownAmong(amounts)));
  },
  "own-faces": () => {
    const [a, b] = mixed();
    return nameOwn(".own-difference", (name) => ask("own_faces", name, a, b));
  },
});

window.addEventListener("storage", function stored(event) { // another tab of the browser has changed them
  if (!element.isConnected) return window.removeEventListener("storage", stored);
  if (event.key === OWN && current()) putOwn(storedOwn());
});
