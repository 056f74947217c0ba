// Pictures that a visitor brings, as squares that are small enough to be sent.
import { create } from "./dom.js";

const MOST_SIDE = 512; // px

const NO_PICTURE = "This file is neither a picture that this browser can read nor a face, film or tray saved here. To "
  + "load a model, use the menu at the top.";

/** Cuts the square in the middle out of a picture file; returns its canvas. Throws an Error for other files. */
export async function squareOf(file) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) throw new Error(NO_PICTURE);
  const scale = Math.min(1, MOST_SIDE / Math.min(picture.width, picture.height));
  const side = Math.min(MOST_SIDE, picture.width, picture.height);
  const canvas = create("canvas", { width: side, height: side });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, side, side);
  const [width, height] = [picture.width * scale, picture.height * scale];
  context.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
  return canvas;
}
