// What the view of a training job says.
import { formatNumber } from "../shared/dom.js";

const STATES = {
  draft: "Not started", queued: "Waiting", running: "Training", stopping: "Stopping and saving",
  finished: "Finished", failed: "Failed", interrupted: "Interrupted", away: "Not available",
};

/** What a job is called. */
export const nameOf = (job) => job.name || (job.state === "draft" ? "Uploaded faces" : "Unnamed");

/** The state of a job in words. */
export const stateOf = (job) => STATES[job.state] || job.state;

/** The same, with the place of a job that waits. */
export const describeState = (job) => (
  job.state === "queued" && job.place ? `${stateOf(job)}: number ${job.place} in the queue` : stateOf(job));

/** A duration: seconds below 90 s, minutes from there on. */
export const formatDuration = (seconds) => (
  seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`);

/** Whether a job is being trained. */
export const isActive = (job) => job.state === "running" || job.state === "stopping";

/** How a job is getting on, in one line. */
export function paceOf(job) {
  const active = isActive(job);
  const facts = [
    job.image_size && `${job.image_size} px`,
    `${formatNumber(job.faces)} pictures`,
    job.images && `${formatNumber(job.images)} images seen`,
    active && job.images_per_second && `${job.images_per_second.toFixed(1)} images/s`,
    active && job.seconds_left !== null && `${formatDuration(job.seconds_left)} left`,
    active && !job.share && "reading the faces and preparing",
    job.wait !== null && (job.wait < 1 ? "begins in a moment" : `begins in about ${formatDuration(job.wait)}`),
  ];
  return facts.filter(Boolean).join(" · ");
}

/** What an ended job can continue for, "" where minutes have to be entered. */
export function restOf({ minutes_left: rest, most_images: mostImages }) {
  if (rest === null) return ""; // it has come to its end
  const minutes = Number(rest.toFixed(rest < 10 ? 1 : 0));
  const unit = minutes === 1 ? "minute" : "minutes";
  const images = mostImages ? `, up to ${formatNumber(mostImages)} images` : "";
  return `${formatNumber(minutes)} ${unit} left${images}. Enter another number to change that.`;
}
