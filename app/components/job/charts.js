// Charts of a training job: lines over the number of images seen, on one scale that contains 0.
import { create, formatNumber } from "../shared/dom.js";

const [WIDTH, HEIGHT] = [420, 190];
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 408, 10, 160];
const SVG = "http://www.w3.org/2000/svg";
const STEPS = [1, 2, 2.5, 5, 10];
const TICKS = 4;

const isNumber = (value) => Number.isFinite(value);
const valuesOf = (points, column) => points.map((point) => point[column]).filter(isNumber);

/** The round numbers that a scale is marked with, from 0 or below `least` to above `most`; at most 6. */
export function ticksOf(least, most) {
  const span = Math.max(most, 0) - Math.min(least, 0) || 1;
  const unit = 10 ** Math.floor(Math.log10(span / TICKS));
  const step = unit * STEPS.find((factor) => factor * unit * TICKS >= span);
  const [first, last] = [Math.floor(Math.min(least, 0) / step), Math.ceil(Math.max(most, 0) / step)];
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

/** Where a point of a chart lies. points: [images, value, ...]; ticks: of the scale. */
function placing(points, ticks) {
  const [from, to] = [points[0][0], points.at(-1)[0]];
  const [least, most] = [ticks[0], ticks.at(-1)];
  return {
    x: (images) => LEFT + ((images - from) / (to - from || 1)) * (RIGHT - LEFT),
    y: (value) => BOTTOM - ((value - least) / (most - least)) * (BOTTOM - TOP),
  };
}

/** The path of a column through a chart. points: [images, value, ...]; ticks: of the scale. */
export function linePath(points, column, ticks) {
  const { x, y } = placing(points, ticks);
  const line = points.filter((point) => isNumber(point[column]))
    .map((point) => `${x(point[0]).toFixed(1)} ${y(point[column]).toFixed(1)}`);
  return line.length ? `M${line.join("L")}` : "";
}

function node(tag, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

function axes(points, ticks, { x, y }) {
  const grid = ticks.flatMap((value) => [
    node("line", { class: value ? "gridline" : "axis", x1: LEFT, x2: RIGHT, y1: y(value), y2: y(value) }),
    node("text", { class: "tick", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, formatNumber(value)),
  ]);
  const [first, last] = [points[0][0], points.at(-1)[0]];
  return [
    ...grid,
    node("text", { class: "tick", x: x(first), y: BOTTOM + 18 }, formatNumber(first)),
    node("text", { class: "tick", x: (LEFT + RIGHT) / 2, y: BOTTOM + 18, "text-anchor": "middle" }, "images seen"),
    node("text", { class: "tick", x: x(last), y: BOTTOM + 18, "text-anchor": "end" }, formatNumber(last)),
  ];
}

/** A line at the height of the first value, so that what follows can be compared with it. */
function startMark(points, { y }) {
  const height = y(valuesOf(points, 1)[0]);
  const above = height > TOP + 18;
  return [
    node("line", { class: "start", x1: LEFT, x2: RIGHT, y1: height, y2: height }),
    node("text", { class: "tick", x: LEFT + 6, y: above ? height - 5 : height + 14 }, "start"),
  ];
}

function entry(name, value, place) {
  const key = create("span", { className: place ? "key second" : "key" });
  return create("span", { className: "entry" }, key, `${name} ${value}`);
}

/**
 * Draws columns of points into a figure, from two points on.
 *
 * lines: names of the columns from 1 on. title: what is shown and what is good. start: whether to mark the first value.
 */
export function drawChart(figure, { title, lines, points, digits = 1, start = false }) {
  figure.hidden = points.length < 2;
  if (figure.hidden) return;
  const values = lines.flatMap((_, index) => valuesOf(points, index + 1));
  const ticks = ticksOf(Math.min(...values), Math.max(...values));
  const place = placing(points, ticks);
  const svg = figure.querySelector("svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.replaceChildren(
    ...axes(points, ticks, place),
    ...(start ? startMark(points, place) : []),
    ...lines.map((_, index) => node("path", {
      class: index ? "second" : "first", d: linePath(points, index + 1, ticks),
    })),
  );
  const latest = lines.map((_, index) => valuesOf(points, index + 1).at(-1)?.toFixed(digits) ?? "unknown");
  const words = lines.map((name, index) => `${name} ${latest[index]}`).join(", ");
  svg.setAttribute("aria-label", `${title}: ${words}, after ${formatNumber(points.at(-1)[0])} images`);
  figure.querySelector("figcaption").replaceChildren(
    create("strong", { textContent: title }), ...lines.map((name, index) => entry(name, latest[index], index)),
  );
}
