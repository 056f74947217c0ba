// Layers: what each layer of both networks makes of the face on the stage.
import { create, formatNumber } from "../shared/dom.js";

const NETS = { Generator: "How the face is made", Discriminator: "How it is judged" };
const NAMES = { latent: "Random numbers, the beginning", to_rgb: "The picture", smaller: "The face" };
const VERDICT = "A single number, the verdict";

/** What a layer is called. number: its place in its network; url: "" where it has no picture. */
const nameOf = ({ name, url }, number) => NAMES[name] || (url ? `Layer ${number}` : VERDICT);

function costsOf({ name, shape, kind, parameters, multiplyAdds }) {
  const costs = kind
    ? `: ${kind}, ${formatNumber(parameters)} parameters, ${formatNumber(multiplyAdds)} multiply-adds` : "";
  return `${name} ${shape}${costs}`;
}

function layerFigure(layer, number) {
  const { name, tiles, url } = layer;
  const caption = create("figcaption", {}, create("strong", { textContent: nameOf(layer, number) }),
    create("span", { className: "costs", textContent: costsOf(layer) }));
  const picture = create("img", { src: url, alt: `${tiles} maps of the layer ${name}` });
  return create("figure", {}, caption, ...(url ? [picture] : []));
}

function netSection({ name, layers, parameters, multiplyAdds }) {
  const sums = `${formatNumber(parameters)} parameters, ${formatNumber(multiplyAdds)} multiply-adds for a face`;
  const costs = create("p", { className: "hint costs", textContent: `${name}: ${sums}` });
  const first = layers[0].name === "latent" ? 0 : 1; // what the numbers of the layers begin with
  const figures = layers.map((layer, place) => layerFigure(layer, place + first));
  return create("section", { className: "net", ariaLabel: name }, create("h3", { textContent: NETS[name] }), costs,
    create("div", { className: "layers" }, ...figures));
}

/** Creates the tool. */
export function createInside(view, tools) {
  const { $, ask, attempt } = view;
  let latest = 0;

  function update() {
    const ticket = ++latest;
    if (!$(".nets").hasChildNodes()) $(".logit").textContent = "Looking at the layers…";
    return attempt(async () => {
      const { nets, verdict } = await ask("inside", view.current().recipe);
      if (ticket !== latest) return;
      $(".nets").replaceChildren(...nets.filter(({ layers }) => layers.length).map(netSection));
      $(".logit").textContent = verdict;
    });
  }

  tools.add("inside", { update });
}
