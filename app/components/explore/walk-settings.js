// The settings of a walk through the tray: {gap, speed, loop, easing, side}, as the fields hold them.

/** Frames between two faces, and frames per second, at most. */
export const [MOST_GAP, MOST_SPEED] = [120, 60];

const bounded = (value, least, most, fallback) => {
  const number = Math.round(Number(value));
  return Math.max(least, Math.min(most, number || fallback));
};

/** Frames from a face to the next one. */
export const gapOf = ({ gap }) => bounded(gap, 2, MOST_GAP, 16);

/** Frames per second. */
export const speedOf = ({ speed }) => bounded(speed, 1, MOST_SPEED, 20);

/** How many frames a walk through `faces` faces asks for. */
export const framesAsked = (faces, settings) => (
  settings.loop ? faces * gapOf(settings) : (faces - 1) * gapOf(settings) + 1);

/** How many frames are drawn; of more than `most`, as many lie evenly on the way. */
export const framesDrawn = (faces, settings, most) => Math.min(most, framesAsked(faces, settings));

/** The number of frames in words. */
export function describeFrames(faces, settings, most) {
  const asked = framesAsked(faces, settings);
  return asked > most ? `${most} of ${asked.toLocaleString("en")} frames` : `${asked} frames`;
}

/** What a walk goes through. linked: whether its faces came with a link. */
export function describeWalk(faces, settings, most, linked) {
  if (faces < 2) return "Keep two or more faces in the tray first; the film goes through them in order.";
  const whose = linked ? `the ${faces} faces of the link` : `your ${faces} kept faces`;
  const frames = describeFrames(faces, settings, most);
  if (framesAsked(faces, settings) <= most) return `Through ${whose}, in order (${frames}, ${most} at most).`;
  return `Through ${whose}, in order (${frames}). Longer films are thinned, because a browser holds all frames at once `
    + "to play them without a request. Use fewer faces, or fewer frames between them.";
}
