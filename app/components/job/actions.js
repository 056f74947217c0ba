// What the buttons of a training job do.
import { copyText, create, offerLink, onLeft, setText } from "../shared/dom.js";
import { linkToJob } from "../shared/links.js";
import { createLongWork } from "../shared/long-work.js";
import { NO_ANSWER, saveFile } from "../shared/requests.js";

/** Compares faces of a job's model with the training faces nearest to them. */
function createComparison({ $, picked, request, say, complain }) {
  const work = createLongWork(request, (on) => {
    $(".comparing").hidden = !on;
    $(".comparing progress").value = 0;
    $('[data-action="nearest"]').disabled = on;
    say(on ? "Looking for the nearest training faces…" : "");
  });

  async function run(key) {
    complain("");
    const answer = await work.run(() => request("nearest", key), ({ progress }) => {
      $(".comparing progress").value = progress;
    }).catch(({ message }) => complain(message));
    if (!answer || key !== picked()) return;
    $(".likeness").hidden = false;
    const alt = "Faces drawn by the model; below each, the training face closest to it";
    $(".pairs").replaceChildren(...answer.urls.map((src) => create("img", { src, alt })));
    setText($(".likeness figcaption"), `Generated faces and, below each, the closest training face. ${answer.text}`);
    $(".likeness").scrollIntoView({ block: "nearest" });
  }

  return { run, stop: work.stop };
}

/** Copies the link to a job, or offers it where that fails. */
async function copyLink({ $, say }, key) {
  const link = linkToJob(key);
  const copied = await copyText(link);
  say(`${copied ? "Link copied" : "Copy this link"}. Whoever has it can do what you can: use, download and delete the `
    + "model.");
  offerLink($(".address"), copied ? "" : link);
}

/** Takes the field with a link away, and with it what says that the link is there. */
export function putLinkAway({ $, say }) {
  if (!$(".address").hidden) say("");
  offerLink($(".address"), "");
}

/** Creates the actions of the buttons. refresh(): requests the job's status; forget(key): takes it off the list. */
export function createActions(view, refresh, forget) {
  const { $, element, ask, picked, request, trigger, say, complain, notifying } = view;
  const comparison = createComparison(view);

  async function accepted(call) {
    complain("");
    const answer = await call;
    const refusal = answer ? answer.error : NO_ANSWER;
    if (refusal) complain(refusal);
    return !refusal;
  }

  async function send(call, words) {
    if (await accepted(call)) say(words);
    refresh();
  }

  function confirm(open) {
    $(".confirm").hidden = !open;
    $(`[data-action="${open ? "keep" : "delete"}"]`).focus();
  }

  async function deleteJob(key) {
    if (!(await accepted(ask("delete", key)))) return;
    forget(key); // before its status is requested again: it would be reported as missing
    trigger("gone", { deleted: true }); // its model may be the one in use
  }

  const actions = {
    use: (key) => trigger("use", { key }),
    resume: (key) => trigger("resume", { key, minutes: $(".minutes").value }),
    finish: (key) => trigger("finish", { key }),
    reconsider: (key) => trigger("reconsider", { key }),
    archive: (key, button) => saveFile(button, $(".status"), () => request("archive_file", key)),
    nearest: comparison.run,
    "stop-nearest": () => {
      comparison.stop();
      say("Stopped.");
    },
    save: (key) => send(ask("save_now", key), "Saving after this step…"),
    notify: (key) => notifying.ask(key).then(refresh),
    stop: (key) => send(ask("stop", key), ""),
    forget,
    delete: () => confirm(true),
    keep: () => confirm(false),
    really: deleteJob,
    link: (key) => copyLink(view, key),
  };
  onLeft($(".address"), () => putLinkAway(view));
  element.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (button) putLinkAway(view);
    if (button && picked()) actions[button.dataset.action](picked(), button);
  });
  return {
    /** Puts everything away that belongs to one job. */
    reset() {
      comparison.stop();
      $(".confirm").hidden = true;
      $(".likeness").hidden = true;
      putLinkAway(view);
    },
  };
}
