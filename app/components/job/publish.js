// Publishing the model of an ended job on the Hugging Face hub.
import { create, setText } from "../shared/dom.js";
import { createLongWork, stepText } from "../shared/long-work.js";
import { hasEnded } from "./words.js";

/** Creates the form. view: see job.js. */
export function createPublishing({ $, picked, request }) {
  const [fold, form, said] = [$(".publish"), $(".publish form"), $(".published")];
  const button = form.querySelector("button");
  const work = createLongWork(request, (on) => { button.disabled = on; });

  async function prepare() {
    const key = picked();
    const known = await request("publisher", key).catch(({ message }) => setText(said, message));
    if (!known || key !== picked()) return;
    form.repo_id.placeholder = known.suggestion;
    if (!form.repo_id.value && known.signed_in) form.repo_id.value = known.suggestion;
    form.querySelector(".own-token").hidden = known.signed_in;
    form.token.required = !known.signed_in;
    form.querySelector(".copies").hidden = !known.copies;
    form.copies_confirmed.required = known.copies;
    form.licence.replaceChildren(
      create("option", { value: "", textContent: "Choose one" }),
      ...known.licences.map((value) => create("option", { value, textContent: value })),
    );
  }

  async function publish(key) {
    const wishes = {
      repo_id: form.repo_id.value,
      private: form.private.checked,
      provenance: form.provenance.value,
      licence: form.licence.value,
      copies_confirmed: form.copies_confirmed.checked,
      token: form.token.value,
    };
    form.token.value = "";
    setText(said, stepText(""));
    try {
      const answer = await work.run(
        () => request("publish", key, wishes), ({ text }) => setText(said, stepText(text)));
      if (!answer || key !== picked()) return;
      const link = create("a", { href: answer.url, target: "_blank", rel: "noopener", textContent: answer.url });
      said.replaceChildren("Published: ", link);
    } catch ({ message }) {
      if (key === picked()) setText(said, message);
    }
  }

  fold.addEventListener("toggle", () => fold.open && prepare());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    publish(picked());
  });
  return {
    update(job) { fold.hidden = !job.has_model || !hasEnded(job); },
    reset() {
      work.stop();
      form.reset();
      fold.open = false;
      setText(said, "");
    },
  };
}
