// From a picture: the face of the model that is closest to a visitor's picture.
import { create, loadPicture } from "../shared/dom.js";

const MOST_SIDE = 512; // px; a picture is made as small before it is sent
const SHOWN = 256; // px of the two pictures beside each other

/** Cuts the square in the middle out of a picture file; returns its canvas. Throws an Error for other files. */
async function squareOf(file) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) throw new Error("This file is not a picture or an exported tray.");
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

const drawOn = (canvas, picture) => canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);

/** Creates the tool. Its search(file) looks for the closest face. */
export function createPictureSearch(stage, tools, tray, searches) {
  const { $, ask, pictures, say } = stage;

  function showPair(square) {
    $(".pair").hidden = false;
    for (const name of [".wanted", ".nearest"]) $(name).width = $(name).height = SHOWN;
    drawOn($(".wanted"), square);
  }

  async function search(file) {
    const square = await squareOf(file);
    const before = stage.current();
    tools.open("picture");
    showPair(square);
    const picture = square.toDataURL("image/jpeg", 0.95).split(",")[1];
    let over = false; // whether the last face is drawn, which no earlier one may replace
    const answer = await searches.run("pick", "Searching…", () => ask("project", picture), async ({ face }) => {
      if (!face) return;
      const closer = await loadPicture(face);
      if (!over) drawOn($(".nearest"), closer);
    });
    over = true;
    if (!answer) return undefined;
    const [recipe] = await pictures.add(answer);
    pictures.paint($(".nearest"), recipe, SHOWN);
    $(".near-text").textContent = answer.text;
    if (before === stage.current()) return stage.show({ recipe });
    tray.keep(recipe);
    return say("The closest face was found. It is in your tray, because you have moved on meanwhile.");
  }

  return { search, actions: { "stop-search": searches.stop } };
}
