// The beginning: what the page says of the model, the address's face or tray, a face sent from elsewhere on the page; and
// the model of another face, which is asked for.
const MOST_JOBS = 50;
let linked = false; // whether the address has been read
let linkedWalk = null; // a walk that the address names, until the model that draws it is loaded
let sent = 0; // the time of the last face that came from elsewhere on the page

const LONGEST_ARRIVAL = 30000; // ms; the server has loaded the model before it is asked to give it to the tabs

// Loads the model that drew a face, on all tabs, and does then what is to be done; where it cannot be had, says why, and
// calls never() where that will not change.
function bring(recipe, then, never = () => {}) {
  return attempt(async () => {
    const { key, text } = await ask("drawer", recipe, met.get(parse(recipe).revision)?.key || "", jobKeys());
    if (!key) {
      never();
      return complain(text);
    }
    if (key === model.key) return then();
    return new Promise((done, failed) => {
      arrival?.over();
      const mine = { key, act: () => then().finally(done), over: done };
      arrival = mine;
      trigger("bring", { key });
      setTimeout(() => {
        if (arrival !== mine) return;
        arrival = null;
        failed(new Error("The model of this face could not be loaded. Try again."));
      }, LONGEST_ARRIVAL);
    });
  }, recipe);
}

function jobKeys() {
  try {
    return JSON.parse(localStorage.getItem("ganime-jobs")).map(({ key }) => String(key)).slice(0, MOST_JOBS);
  } catch {
    return []; // nothing is kept, or nothing can be
  }
}

async function begin() {
  tray = storedTray();
  putOwn(storedOwn());
  const found = await fromAddress();
  const face = model.sent || found;
  const strolls = linkedWalk && drawnHere(linkedWalk.faces[0]) ? linkedWalk : null;
  linkedWalk = strolls ? null : linkedWalk;
  const first = strolls ? await attempt(() => takeWalk(strolls)) : "";
  const come = arrival?.key === model.key ? arrival : null;
  if (come) arrival = null;
  if (come) await come.act();
  else if (face || first) await show({ recipe: face || first });
  if (!current() || !drawnHere(current().recipe)) await dice();
  await drawTray();
  if (!first) return;
  openTool("animate");
  await actions.stroll();
}

// The face that the address names, "" where there is none; a tray that it names is added to the own one.
async function fromAddress() {
  const search = new URLSearchParams(linked ? "" : location.search);
  linked = true;
  let face = search.get("face") || "";
  if (face && !parse(face)) {
    complain("The face in this link cannot be read. The link may have been cut short.");
    face = "";
  }
  if (search.get("walk")) {
    await attempt(() => { linkedWalk = readWalk(search.get("walk")); });
    const [first] = linkedWalk?.faces || [];
    if (first && !drawnHere(first)) await attempt(() => ask("draw", [first]), first); // says which model to load
  }
  if (search.get("tray")) {
    await attempt(async () => {
      let given = null;
      try {
        given = JSON.parse(search.get("tray"));
      } catch {
        throw new Error("The tray in this link cannot be read. The link may have been cut short.");
      }
      const [first] = await takeTray(given, "This link");
      face = face || first;
    });
  }
  return face;
}

async function meet() {
  const value = props.value || {};
  if (value.error) {
    arrival?.over();
    arrival = null;
    return complain(value.error);
  }
  if (!value.key) return undefined;
  const another = value.key !== model?.key || value.revision !== model?.revision;
  model = value;
  met.set(model.revision, model);
  if (another) {
    stopSearch(); // what is searched for is of the other model
    comparing.stop();
    forgetWalk();
    complain("");
    makeSliders();
    makeChips();
    for (const name of ["link", "tray-link", "walk-link"]) $(`[data-do="${name}"]`).title = model.trained ? FOR_ONESELF : "";
    $('[data-do="link"]').textContent = model.trained ? "Copy link for yourself" : "Copy link";
    $('[data-suffix=".mp4"]').hidden = !model.endings.includes(".mp4");
    await begin();
    if (!element.querySelector('[data-tool][aria-expanded="true"]')) openTool("vary");
  } else if (value.sent && value.time !== sent) {
    await show({ recipe: value.sent });
  }
  sent = value.time;
  return undefined;
}

watch("value", meet);
meet();
