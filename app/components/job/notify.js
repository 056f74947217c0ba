// A notification of the browser when a training job ends, for visitors who look at something else meanwhile.
import { isActive, nameOf, reasonOf, stateOf } from "./words.js";

const isUnderWay = (job) => isActive(job) || job.state === "queued";

/**
 * Creates the notifications. say(words): tells the visitor. api: the browser's Notification, which not every browser
 * has, and which a page in a frame of another site may not use.
 */
export function createNotifying(say, api = globalThis.Notification) {
  const awaited = new Set(); // keys of jobs

  return {
    /** Whether a job that is under way can be asked for. */
    canAsk: (key, job) => Boolean(api) && isUnderWay(job) && !awaited.has(key),
    /** Whether there is a job to be asked about even while nobody looks at the page. */
    isWaiting: () => awaited.size > 0,
    /** Asks for a notification at the end of a job. */
    async ask(key) {
      const answer = await api.requestPermission();
      if (answer !== "granted") return say("This browser does not allow notifications of this page.");
      awaited.add(key);
      return say("You get a notification when it ends, as long as this page stays open.");
    },
    /** Notifies of a job that was asked for, once it has ended. */
    update(key, job) {
      if (!awaited.has(key) || isUnderWay(job)) return;
      awaited.delete(key);
      const body = reasonOf(job) || "Its model can be used now.";
      new api(`${nameOf(job)}: ${stateOf(job)}`, { body, tag: `ganime-${job.id}` });
    },
  };
}
