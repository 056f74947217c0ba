// The beginning: what the page says of the model, the address's face or tray, a face sent from elsewhere on the page.
let linked = false; // whether the address has been read
let linkedWalk = null; // a walk that the address names, until the model that draws it is loaded
let sent = 0; // the time of the last face that came from elsewhere on the page

async function begin() {
  tray = storedTray();
  putOwn(storedOwn());
  const found = await fromAddress();
  const face = model.sent || (drawnHere(waiting) ? waiting : "") || found;
  waiting = "";
  const strolls = linkedWalk && drawnHere(linkedWalk.faces[0]) ? linkedWalk : null;
  linkedWalk = strolls ? null : linkedWalk;
  const first = strolls ? await attempt(() => takeWalk(strolls)) : "";
  if (face || first) await show({ recipe: face || first });
  if (!current()) await dice();
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
  if (value.error) return complain(value.error);
  if (!value.key) return undefined;
  const another = value.key !== model?.key || value.revision !== model?.revision;
  model = value;
  if (another) {
    forget();
    stopSearch(); // what is searched for is of the other model
    forgetWalk();
    complain("");
    makeSliders();
    makeChips();
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
