// A job that trains, or was trained, on the visitor's own account on the hub: where, and how its model comes here.
import { create, setText } from "../shared/dom.js";
import { createLongWork, stepText } from "../shared/long-work.js";
import { hasEnded } from "./words.js";

const link = (href, textContent) => create("a", { href, target: "_blank", rel: "noopener", textContent });

/** Where a job is on the hub, as text and links. */
function describePlace(job) {
  const { flavor, owner, dollars, url, dataset } = job.elsewhere;
  const trains = hasEnded(job) ? "It was sent to" : "It trains on";
  const there = link(new URL(`/datasets/${dataset}`, url).href, dataset);
  const most = `at most $${dollars.toFixed(2)}`;
  return [
    `${trains} a machine of the hub (${flavor}), on the account ${owner}, for ${most}: `, link(url, "the job"),
    ". Its faces and what it stores are in the private dataset ", there, ", where only you can delete them.",
  ];
}

/** Creates the part of the view. view: see job.js. refresh(): requests the job's status. */
export function createElsewhere({ $, picked, request }, refresh) {
  const [part, form, said] = [$(".elsewhere"), $(".elsewhere form"), $(".fetched")];
  const say = (words) => setText(said, words);
  let known = ""; // the key of the job that is described
  const work = createLongWork(request, (on) => {
    for (const button of form.querySelectorAll("button")) button.disabled = on;
  });

  async function run(name) {
    const key = picked();
    const token = form.token.value;
    say(stepText(""));
    try {
      const answer = await work.run(() => request(name, key, token), ({ text }) => say(stepText(text)));
      if (!answer || key !== picked()) return;
      say(answer.text || "");
      if (!answer.done) return;
      form.token.value = "";
      refresh();
    } catch ({ message }) {
      if (key === picked()) say(message);
    }
  }

  function sure(open) {
    $(".sure").hidden = !open;
    $(open ? ".go-on" : ".end").focus();
  }

  async function show(job) {
    known = `${picked()} ${job.state}`;
    $(".where").replaceChildren(...describePlace(job));
    form.hidden = job.state !== "elsewhere";
    if (form.hidden) return;
    const account = await request("account").catch(({ message }) => say(message));
    form.querySelector(".own-token").hidden = Boolean(account?.signed_in);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run("fetch_elsewhere");
  });
  $(".end").addEventListener("click", () => sure(true));
  $(".go-on").addEventListener("click", () => sure(false));
  $(".really-end").addEventListener("click", () => {
    sure(false);
    run("cancel_elsewhere");
  });
  return {
    update(job) {
      part.hidden = !job.elsewhere;
      if (job.elsewhere && known !== `${picked()} ${job.state}`) show(job);
    },
    reset() {
      work.stop();
      form.reset();
      $(".sure").hidden = true;
      known = "";
      say("");
    },
  };
}
