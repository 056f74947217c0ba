// See inside and Is it a copy?: what both nets make of the face on the stage, and how near it is to a training face.
const VERDICTS = { copy: "Looks like a copy", close: "Close to a training face", free: "No copy", unknown: "Not known" };
const comparing = longWork(ask, "ask_comparison", "leave_comparison", (on) => {
  if (!on) lookingOn(false);
});
let insideAsked = 0;

const layerFigure = ({ name, shape, tiles, url, kind, parameters, multiplyAdds }) => {
  const picture = made("img", { src: url, alt: `${tiles} maps of the layer ${name}` }); // none of a single number
  const costs = kind ? `${kind}: ${whole(parameters)} parameters, ${whole(multiplyAdds)} multiply-adds` : "Random numbers";
  const caption = made("figcaption", {}, made("strong", { textContent: name }), ` ${shape}`, made("br"), costs);
  return made("figure", {}, caption, ...(url ? [picture] : []));
};

function netPart({ name, layers, parameters, multiplyAdds }) {
  const totals = `${whole(parameters)} parameters, ${whole(multiplyAdds)} multiply-adds for a face`;
  const title = made("h3", { textContent: name });
  return made("section", { className: "net", ariaLabel: name }, title, made("p", { className: "hint", textContent: totals }),
    made("div", { className: "layers" }, ...layers.map(layerFigure)));
}

function lookInside() {
  const ticket = ++insideAsked;
  return attempt(async () => {
    const { nets, verdict } = await ask("inside", current().recipe);
    if (ticket !== insideAsked) return;
    $(".nets").replaceChildren(...nets.filter(({ layers }) => layers.length).map(netPart));
    $(".logit").textContent = verdict;
  });
}

function copyFigure(url, text) {
  return made("figure", {}, made("img", { src: url, alt: text }), made("figcaption", { textContent: text }));
}

function showVerdict({ verdict, text, face, training = [] }) {
  $(".copy-verdict").textContent = VERDICTS[verdict] || "";
  $(".copy-verdict").dataset.verdict = verdict;
  $(".copy-text").textContent = text;
  const beside = training.map((url, index) => copyFigure(url, index ? `${index + 1}.` : "Nearest training face"));
  $(".kin").replaceChildren(...(training.length ? [copyFigure(face, "This face"), ...beside] : []));
}

// Shows that the training faces are looked at, which takes long and can be stopped.
function lookingOn(on) {
  $(".copy-bar").hidden = $('[data-do="stop-copy"]').hidden = !on;
}

function compare() {
  const { recipe } = current();
  return attempt(async () => {
    showVerdict({ verdict: "", text: "Comparing…" });
    try {
      const answer = await comparing.run(() => ask("compare", recipe), ({ progress }) => {
        lookingOn(true);
        $(".copy-bar").value = progress;
        $(".copy-text").textContent = "Looking at the training faces, once for this model…";
      });
      if (answer) showVerdict(answer);
    } catch (error) {
      showVerdict({ verdict: "unknown", text: error.message });
    }
  });
}

actions["stop-copy"] = () => {
  comparing.stop();
  showVerdict({ verdict: "", text: "Stopped. It begins anew when this tool is opened, and with the next face." });
};
opened.inside = lookInside;
opened.copy = compare;
painted.push(() => isOpen("inside") && lookInside(), () => isOpen("copy") && compare());
