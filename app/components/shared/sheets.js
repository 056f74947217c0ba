// Sheets: pictures of equal size in rows, sent as one exact picture. layout: {columns, side} of a sheet.
import { create } from "./dom.js";

/** The upper left corner of a tile, [x, y] in pixels. */
export const cornerOf = (index, { columns, side }) => [(index % columns) * side, Math.floor(index / columns) * side];

/** Draws a tile of a sheet onto a context of at least its size. */
export function drawTile(context, sheet, layout, index) {
  const [x, y] = cornerOf(index, layout);
  const { side } = layout;
  context.drawImage(sheet, x, y, side, side, 0, 0, side, side);
}

/** Cuts the first `count` tiles out of a sheet; returns their canvases. */
export function cutTiles(sheet, layout, count) {
  return Array.from({ length: count }, (_, index) => {
    const canvas = create("canvas", { width: layout.side, height: layout.side });
    drawTile(canvas.getContext("2d"), sheet, layout, index);
    return canvas;
  });
}
