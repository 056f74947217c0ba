// What the view of a training job says.
import { formatNumber } from "../shared/dom.js";

const STATES = {
  draft: "Not started", queued: "Waiting", running: "Running", stopping: "Stopping and saving",
  elsewhere: "Training on your account",
  finished: "Finished", failed: "Failed", interrupted: "Interrupted", away: "Not available",
};
const ACTIVITIES = {
  sampling: "Drawing the first sample", measuring: "Measuring the faces", training: "Training", saving: "Saving",
  "fitting clarity": "Learning which faces are clear", "checking sliders": "Fitting the sliders",
};
const FITTED = ["fitting clarity", "checking sliders"];
// The names of the steps that follow the first one, whose name is what the job does.
const STEPS = ["training", "measuring and saving the model", "fitting its clarity", "fitting its sliders"];

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

/** A duration: seconds below 90 s, minutes from there on. No line breaks before the unit. */
export const formatDuration = (seconds) => (
  seconds < 90 ? `${Math.round(seconds)}\u00a0s` : `${Math.round(seconds / 60)}\u00a0min`);

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
  const training = job.state === "running" && !job.trained;
  const facts = [
    job.image_size && `${job.image_size}\u00a0px`,
    `${formatNumber(job.faces)} ${job.faces === 1 ? "face" : "faces"}`,
    job.images && `${formatNumber(job.images)} images seen`,
    training && job.images_per_second && `${formatNumber(Number(job.images_per_second.toPrecision(2)))}\u00a0images/s`,
    job.wait !== null && (job.wait < 1 ? "begins in a moment" : `begins in about ${formatDuration(job.wait)}`),
  ];
  return facts.filter(Boolean).join(" · ");
}

/** Whether a running job has begun to train: it measures and saves now and then meanwhile. */
const trains = (job) => job.activity === "training" || Boolean(job.images_per_second);

/** Which of its five steps a running job is at, from 1; see STEPS. */
export function stepOf(job) {
  const fitting = FITTED.indexOf(job.activity);
  if (fitting >= 0) return 4 + fitting;
  if (["measuring", "saving"].includes(job.activity) && job.trained) return 3;
  return trains(job) ? 2 : 1;
}

/** The step that a running job is at, by its number and name. */
function nameOfStep(job) {
  const [step, activity] = [stepOf(job), activityOf(job)];
  const name = STEPS[step - 2] || activity[0].toLowerCase() + activity.slice(1);
  return `Step ${step} of ${STEPS.length + 1}: ${name}`;
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
  const at = job.trained && job.activity === "reading" ? activityOf(job) : nameOfStep(job);
  if (job.trained) return `${at}. Training is done. ${endOf(job)}`;
  const { after, seconds_left: seconds } = job;
  const time = after ? `about ${formatDuration(after)}` : "some minutes";
  const rest = `${time} to measure the model and fit its sliders.`;
  if (trains(job) && seconds < 1.5) return `${at}, which is ending. Then ${rest}`; // its last steps may take longer
  const left = `about ${formatDuration(Math.max(1, seconds))}`;
  const plan = trains(job) ? `${at}, ${left} left. Then ${rest}` : `${at}. Then ${left} of training, and ${rest}`;
  return after ? `${plan} About ${formatDuration(seconds + after)} left in all.` : plan;
}

/** Why a job is in its state, "" where the state says it already. */
export const reasonOf = (job) => (job.stopped && job.reason === "Stopped." ? "" : job.reason || "");

/** What the button says that ends a job, or takes it out of the queue. */
export function stopOf(job) {
  if (job.state === "queued") return "Leave the queue";
  return job.trained ? "Skip the rest" : "Stop and keep";
}

/** Whether a job can be asked to save its model and to draw a sample. */
export const canSave = ({ state, activity, trained }) => (
  state === "running" && !trained && ["measuring", "training"].includes(activity));

/** What can be done with the model of a job that is running. */
export function triesOf(job) {
  if (job.state === "stopping") return "You can try it now.";
  if (job.trained) return "You can try it now. Its sliders follow once they are fitted.";
  return "You can try it while it trains on.";
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
