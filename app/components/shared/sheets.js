// Sheets: pictures of equal size in rows, sent as one exact picture. layout: {columns, side} of a sheet.
import { create } from "./dom.js";

/** The upper left corner of a tile, [x, y] in pixels. */
export const cornerOf = (index, { columns, side }) => [(index % columns) * side, Math.floor(index / columns) * side];

/** Draws a tile of a sheet over the whole of a canvas. */
export function drawTile(canvas, sheet, layout, index) {
  const [x, y] = cornerOf(index, layout);
  const { side } = layout;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(sheet, x, y, side, side, 0, 0, canvas.width, canvas.height);
}

/** Cuts a tile out of a sheet; returns its canvas. */
export function cutTile(sheet, layout, index) {
  const canvas = create("canvas", { width: layout.side, height: layout.side });
  drawTile(canvas, sheet, layout, index);
  return canvas;
}
