// See inside: what each layer of both nets makes of the face on the stage.
import { create, formatNumber } from "../shared/dom.js";

function layerFigure({ name, shape, tiles, url, kind, parameters, multiplyAdds }) {
  const costs = kind
    ? `${kind}: ${formatNumber(parameters)} parameters, ${formatNumber(multiplyAdds)} multiply-adds`
    : "Random numbers";
  const title = create("strong", { textContent: name });
  const caption = create("figcaption", {}, title, ` ${shape}`, create("br"), costs);
  const picture = create("img", { src: url, alt: `${tiles} maps of the layer ${name}` });
  return create("figure", {}, caption, ...(url ? [picture] : [])); // a single number has no picture
}

function netSection({ name, layers, parameters, multiplyAdds }) {
  const totals = `${formatNumber(parameters)} parameters, ${formatNumber(multiplyAdds)} multiply-adds for a face`;
  const hint = create("p", { className: "hint", textContent: totals });
  const figures = create("div", { className: "layers" }, ...layers.map(layerFigure));
  return create("section", { className: "net", ariaLabel: name }, create("h3", { textContent: name }), hint, figures);
}

/** Creates the tool. */
export function createInside(view, tools) {
  const { $, ask, attempt } = view;
  let latest = 0;

  function update() {
    const ticket = ++latest;
    return attempt(async () => {
      const { nets, verdict } = await ask("inside", view.current().recipe);
      if (ticket !== latest) return;
      $(".nets").replaceChildren(...nets.filter(({ layers }) => layers.length).map(netSection));
      $(".logit").textContent = verdict;
    });
  }

  tools.add("inside", { update });
}
