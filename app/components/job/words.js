// What the view of a training job says.
import { formatNumber } from "../shared/dom.js";

const STATES = {
  draft: "Not started", queued: "Waiting", running: "Training", stopping: "Stopping and saving",
  elsewhere: "Training on your account",
  finished: "Finished", failed: "Failed", interrupted: "Interrupted", away: "Not available",
};
const ACTIVITIES = {
  sampling: "Drawing the first sample", measuring: "Measuring the faces", training: "Training", saving: "Saving",
  "fitting clarity": "Learning which faces are clear", "checking sliders": "Fitting the sliders",
};
const FITTED = ["fitting clarity", "checking sliders"];
const STEPS = 5;
const BEFORE_THE_END = ["reading", "sampling", "measuring", "training"];

/** What a job is called. */
export const nameOf = (job) => job.name || (job.state === "draft" ? "Uploaded faces" : "Unnamed");

/** The state of a job in words. */
export function stateOf(job) {
  if (job.on_hub && job.state === "interrupted") return "Cancelled";
  return job.stopped ? "Stopped" : STATES[job.state] || job.state;
}

/** What a running job does now. */
export const activityOf = (job) => (
  job.activity === "reading" ? `Reading ${formatNumber(job.faces)} faces` : ACTIVITIES[job.activity] || "Training");

/** The state, with the place of a job that waits and what a running one does. */
export function describeState(job) {
  if (job.state === "queued" && job.place) return `${stateOf(job)}: number ${job.place} in the queue`;
  return job.state === "running" ? activityOf(job) : stateOf(job);
}

/** A duration: seconds below 90 s, minutes from there on. */
export const formatDuration = (seconds) => (
  seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`);

/** Whether a job has ended, well or not. */
export const hasEnded = ({ state }) => ["finished", "failed", "interrupted"].includes(state);

/** What is asked before a job is deleted. */
export function deletionOf(job) {
  if (job.state === "elsewhere") {
    return "Delete this job and its faces here? On the hub it goes on and costs until it ends. Cancel it first if you "
      + "do not want that.";
  }
  const rest = job.on_hub ? " What is in your account on the hub stays there." : "";
  return `Delete this job, its faces and its model permanently?${rest}`;
}

/** Whether a job is being trained here. */
export const isActive = (job) => job.state === "running" || job.state === "stopping";

/** The share of the bar that is full, 0 to 1; null while that is unknown, so that the bar only moves. */
export function shareOf(job) {
  if (job.state !== "running") return null;
  if (job.activity === "training") return job.share || null;
  return job.activity_share;
}

/** How a job is getting on, in one line. */
export function paceOf(job) {
  const training = job.state === "running" && BEFORE_THE_END.includes(job.activity);
  const facts = [
    job.image_size && `${job.image_size} px`,
    `${formatNumber(job.faces)} ${job.faces === 1 ? "face" : "faces"}`,
    job.images && `${formatNumber(job.images)} images seen`,
    training && job.images_per_second && `${job.images_per_second.toFixed(1)} images/s`,
    job.wait !== null && (job.wait < 1 ? "begins in a moment" : `begins in about ${formatDuration(job.wait)}`),
  ];
  return facts.filter(Boolean).join(" · ");
}

/** Whether a running job has no training to do any more. */
const isTrained = ({ activity, seconds_left: left }) => (
  !BEFORE_THE_END.includes(activity) || (activity !== "training" && !(left >= 1)));

/** Whether a running job has begun to train: it measures and saves now and then meanwhile. */
const trains = (job) => job.activity === "training" || Boolean(job.images_per_second);

/** Which of the STEPS a running job is at, from 1: it prepares, trains, measures, fits a clarity, fits sliders. */
export function stepOf(job) {
  const fitting = FITTED.indexOf(job.activity);
  if (fitting >= 0) return STEPS - FITTED.length + 1 + fitting;
  if (["measuring", "saving"].includes(job.activity) && isTrained(job)) return 3;
  return trains(job) ? 2 : 1;
}

/** What is left of a job that trains no more. ending: {now, later}, its seconds for what it does and what follows. */
function endOf({ ending }) {
  const { now = null, later = null } = ending || {};
  if (now !== null && later !== null) return `About ${formatDuration(now + later)} left.`;
  if (now !== null) return `About ${formatDuration(now)} left of this step.`;
  if (later === 0) return "This is the last step.";
  return later === null ? "The rest takes some minutes." : `After this step, about ${formatDuration(later)} more.`;
}

/** What is still to come of a running job, in a sentence or two. */
export function planOf(job) {
  if (job.state !== "running") return "";
  const at = `Step ${stepOf(job)} of ${STEPS}`;
  if (isTrained(job)) return `${at}. Training is done. ${endOf(job)}`;
  const after = job.after ? `about ${formatDuration(job.after)}` : "some minutes";
  const rest = `${after} to measure the model and to fit its sliders.`;
  const seconds = Math.max(1, job.seconds_left);
  const left = formatDuration(seconds);
  const plan = trains(job) ? `${left} of training left, then ${rest}` : `then ${left} of training, and ${rest}`;
  return `${at}: ${plan}${job.after ? ` About ${formatDuration(seconds + job.after)} in all.` : ""}`;
}

/** Why a job is in its state, "" where the state says it already. */
export const reasonOf = (job) => (job.stopped && job.reason === "Stopped." ? "" : job.reason || "");

/** Whether a job's training has ended, and what comes after it has not. */
const isFitting = ({ activity }) => FITTED.includes(activity);

/** What the button says that ends a job, or takes it out of the queue. */
export function stopOf(job) {
  if (job.state === "queued") return "Leave the queue";
  return isFitting(job) ? "Skip the rest" : "Stop and keep";
}

/** What can be done with the model of a job that is running. */
export function triesOf(job) {
  if (isFitting(job)) return "You can try it now. Clear faces and sliders follow once they are fitted.";
  return job.state === "stopping" ? "You can try it now." : "You can try it while it trains on.";
}

/** What comes with a job's model when it is used. */
export function bringsOf(job) {
  const sliders = job.sliders === 1 ? "1 named slider" : `${job.sliders} named sliders`;
  const parts = [job.has_clarity && "clear faces", job.sliders && sliders, "the check for copies"].filter(Boolean);
  const last = parts.pop();
  return `It brings ${parts.length ? `${parts.join(", ")} and ${last}` : last}.`;
}

/** Whether a job's model lacks what a job that came to its end gives it. */
export const canBeFinished = (job) => job.has_model && job.can_resume && job.saved > 0 && !job.sliders
  && !job.has_clarity && job.state !== "failed";

/** What the button says with which an ended job trains on. */
export function resumeOf(job) {
  if (job.on_hub) return "Train here instead";
  return job.saved ? "Continue" : "Start again";
}

/** What an ended job can continue for, "" where minutes have to be entered. */
export function restOf({ minutes_left: rest, most_images: mostImages, on_hub: onHub }) {
  if (rest === null || onHub) return ""; // it has come to its end
  const minutes = Number(rest.toFixed(rest < 10 ? 1 : 0));
  const unit = minutes === 1 ? "minute" : "minutes";
  const images = mostImages ? `, up to ${formatNumber(mostImages)} images` : "";
  return `${formatNumber(minutes)} ${unit} left${images}. Enter another number to change that.`;
}
