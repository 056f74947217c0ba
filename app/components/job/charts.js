// Charts of a training job: two lines over the number of images seen.
import { create, formatNumber } from "../shared/dom.js";

const [WIDTH, TOP, BOTTOM] = [300, 5, 85];
const valuesOf = (points, column) => points.map((point) => point[column]).filter((value) => Number.isFinite(value));

/** The path of a column through a chart. points: [images, value, value]; range: [least, most] of the scale. */
export function linePath(points, column, [least, most]) {
  const [first, last] = [points[0][0], points[points.length - 1][0]];
  const line = points.filter((point) => Number.isFinite(point[column])).map((point) => {
    const x = ((point[0] - first) / (last - first || 1)) * WIDTH;
    const y = BOTTOM - ((point[column] - least) / (most - least || 1)) * (BOTTOM - TOP);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return line.length ? `M${line.join("L")}` : "";
}

function createPath(points, column, together) {
  const values = together ? [...valuesOf(points, 1), ...valuesOf(points, 2)] : valuesOf(points, column);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", linePath(points, column, [Math.min(...values), Math.max(...values)]));
  path.setAttribute("class", column === 1 ? "first" : "second");
  return path;
}

function createEntry(words, place) {
  const key = create("span", { className: place ? "key second" : "key" });
  return create("span", { className: "entry" }, key, words);
}

/** Draws two columns of points into a figure. together: on one scale; otherwise each line has its own. */
export function drawChart(figure, names, points, together) {
  figure.hidden = points.length < 2;
  if (figure.hidden) return;
  const svg = figure.querySelector("svg");
  svg.replaceChildren(...[1, 2].map((column) => createPath(points, column, together)));
  const latest = [1, 2].map((column) => (
    `${names[column - 1]} ${valuesOf(points, column).at(-1)?.toFixed(3) ?? "unknown"}`));
  const images = points[points.length - 1][0];
  svg.setAttribute("aria-label", `${latest.join(", ")}, after ${formatNumber(images)} images`);
  figure.querySelector("figcaption").replaceChildren(...latest.map(createEntry));
}
