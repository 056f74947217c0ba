// A job that trains, or was trained, on the visitor's own account on the hub: where, and how its model comes here.
import { create, setText } from "../shared/dom.js";
import { createLongWork, disabling, stepText } from "../shared/long-work.js";
import { hasEnded } from "./words.js";

const link = (href, textContent) => create("a", { href, target: "_blank", rel: "noopener", textContent });

/** Where a job is on the hub, as text and links. */
function describePlace(job) {
  const { flavor, owner, dollars, url, dataset } = job.on_hub;
  const trains = hasEnded(job) ? "It was sent to" : "It trains on";
  const there = link(new URL(`/datasets/${dataset}`, url).href, dataset);
  const most = `at most $${dollars.toFixed(2)}`;
  return [
    `${trains} a machine of the hub (${flavor}), on the account ${owner}, for ${most} (`, link(url, "see the job"),
    "). Its faces and what it stores are in the private dataset ", there, ", where only you can delete them.",
  ];
}

/** When a job will have ended, in a sentence. now: in milliseconds since 1970. */
export function describeEnd({ state, ended }, now) {
  if (state !== "elsewhere") return "";
  const far = ended * 1000 - now > 12 * 3600 * 1000;
  const time = new Date(ended * 1000).toLocaleString([], {
    ...(far && { weekday: "long" }), hour: "2-digit", minute: "2-digit",
  });
  return `It will have ended by ${time} at the latest. Then fetch the model: it does not come by itself.`;
}

/** The field for a token, which is shown once it is needed; nobody who is signed in needs one. */
function createToken(form, say) {
  const field = form.querySelector(".own-token");
  let signedIn = false;
  return {
    setSignedIn(on) { signedIn = on; },
    hide() { field.hidden = true; },
    /** Whether there is one; asks for it otherwise. */
    isThere() {
      field.hidden = signedIn;
      if (signedIn || form.token.value) return true;
      say("Paste a token of that account, then press the same button again.");
      form.token.focus();
      return false;
    },
  };
}

/** Connects the button that ends the job on the hub, which asks first. act(): does it, or returns false. */
function connectCancel($, act) {
  function sure(open) {
    $(".sure").hidden = !open;
    $(open ? ".go-on" : ".end").focus();
  }

  $(".end").addEventListener("click", () => sure(true));
  $(".go-on").addEventListener("click", () => sure(false));
  $(".really-end").addEventListener("click", () => act() && sure(false));
}

/** Creates the part of the view. view: see job.js. refresh(): requests the job's status. */
export function createOnHub({ $, picked, request }, refresh) {
  const [part, form, said] = [$(".on-hub"), $(".on-hub form"), $(".fetched")];
  const say = (words) => setText(said, words);
  const token = createToken(form, say);
  let known = ""; // the key of the job that is described
  const work = createLongWork(request, disabling(form));

  async function run(name) {
    const [key, sent] = [picked(), form.token.value];
    say(stepText(""));
    try {
      const answer = await work.run(() => request(name, key, sent), ({ text }) => say(stepText(text)));
      if (!answer || key !== picked()) return;
      say(answer.text || "");
      if (!answer.done) return;
      form.token.value = "";
      refresh();
    } catch ({ message }) {
      if (key === picked()) say(message);
    }
  }

  async function show(job) {
    known = `${picked()} ${job.state}`;
    $(".where").replaceChildren(...describePlace(job));
    form.hidden = job.state !== "elsewhere";
    setText($(".due"), describeEnd(job, Date.now()));
    if (form.hidden) return;
    $(".on-hub [type=submit]").classList.toggle("primary", job.ended * 1000 < Date.now());
    const account = await request("account").catch(({ message }) => say(message));
    token.setSignedIn(Boolean(account?.signed_in));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (token.isThere()) run("fetch_from_hub");
  });
  connectCancel($, () => token.isThere() && run("cancel_on_hub"));
  return {
    update(job) {
      part.hidden = !job.on_hub;
      if (job.on_hub && known !== `${picked()} ${job.state}`) show(job);
    },
    reset() {
      work.stop();
      form.reset();
      $(".sure").hidden = true;
      token.hide();
      known = "";
      say("");
    },
  };
}
