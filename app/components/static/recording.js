// Films as video files, recorded by the browser while they play once.
import { frameAt } from "./frames.js";

const KINDS = [ // in the order in which they are preferred: MP4 can be sent and posted everywhere
  [".mp4", "video/mp4;codecs=avc1.42E01E"], [".mp4", "video/mp4"],
  [".webm", "video/webm;codecs=vp9"], [".webm", "video/webm"],
];
const BITS_PER_PIXEL = 0.6;
/** Said of a film that was given up. */
export const STOPPED = "Stopped.";

/** The video files that this browser can record, by suffix: the first kind of each. */
export function recordableKinds(recorder = globalThis.MediaRecorder) {
  const kinds = recorder ? KINDS.filter(([, type]) => recorder.isTypeSupported(type)) : [];
  return Object.fromEntries([...kinds].reverse());
}

const sleepUntil = (time) => new Promise((resolve) => { setTimeout(resolve, Math.max(0, time - performance.now())); });

/**
 * Records a film, see frames.js, as a video of `side` px; returns its bytes.
 *
 * type: of the file. rate: frames per second. report(share): progress. isLeft(): whether to stop.
 */
export async function record(film, { side, type, rate }, report, isLeft) {
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const { side: own } = film.pictures[0];
  const frame = Object.assign(document.createElement("canvas"), { width: own, height: own });
  const context = canvas.getContext("2d", { alpha: false });
  context.imageSmoothingQuality = "high";
  const recorder = new MediaRecorder(canvas.captureStream(), {
    mimeType: type, videoBitsPerSecond: BITS_PER_PIXEL * side * side * rate,
  });
  const pieces = [];
  recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
  const ended = new Promise((resolve) => { recorder.addEventListener("stop", resolve); });
  const paint = (picture) => {
    frame.getContext("2d").putImageData(new ImageData(picture.pixels, picture.side), 0, 0);
    context.drawImage(frame, 0, 0, side, side);
  };
  paint(film.pictures[0]);
  recorder.start();
  const begun = performance.now();
  for (let index = 0; index < film.count && !isLeft(); index += 1) {
    paint(frameAt(film, index));
    report(index / film.count);
    await sleepUntil(begun + ((index + 1) * 1000) / rate);
  }
  recorder.stop();
  await ended;
  if (isLeft()) throw new Error(STOPPED);
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}
