// Training on the visitor's own account on the hub: the price first, then the job. The token stays in its field until
// the job has begun, and is stored nowhere.
// props.value = {plan: {draft, model, start, images, recipe, size, name}, time}, which the event "plan" asks for.
import { create, finder, formatNumber, setText } from "../shared/dom.js";
import { createLongWork, disabling, stepText } from "../shared/long-work.js";
import { createRequest } from "../shared/requests.js";

const DOLLARS = (amount) => `$${amount.toFixed(2)}`;

/** The most that a job can cost, in dollars. offer: the server's answer; dollars: of the machine, for an hour. */
export const priceOf = ({ pauses, preparing }, dollars, minutes) => (
  dollars * (minutes * (1 + pauses) + preparing) / 60);

/** What that price is made of. */
export function describePrice(offer, dollars, minutes) {
  const more = Math.round(minutes * offer.pauses + offer.preparing);
  const unit = minutes === 1 ? "minute" : "minutes";
  return `${formatNumber(minutes)} ${unit} of training and at most ${more} more to prepare and to finish, at `
    + `${DOLLARS(dollars)} an hour.`;
}

/** What is chosen of an offer: the machine, the minutes, and the most that the job can cost; null if it is invalid. */
function createOffer($, form) {
  let offer = null;

  function chosen() {
    const machine = offer?.machines.find(({ flavor }) => flavor === form.flavor.value);
    const minutes = Number(form.minutes.value);
    if (!machine || !form.minutes.checkValidity()) return null;
    return { machine, minutes, dollars: priceOf(offer, machine.dollars, minutes) };
  }

  function draw() {
    const found = chosen();
    const words = found && describePrice(offer, found.machine.dollars, found.minutes);
    const most = found && create("strong", { textContent: `At most ${DOLLARS(found.dollars)}: ` });
    $(".price").replaceChildren(...(found ? [most, words] : ["Enter 1 to 1,440 minutes."]));
    setText($(".offer button"), found ? `Start for at most ${DOLLARS(found.dollars)}` : "Start");
  }

  form.addEventListener("input", () => offer && draw());
  return {
    chosen,
    show(answer) {
      offer = answer;
      $(".offer").hidden = !offer;
      if (!offer) return;
      form.flavor.replaceChildren(...offer.machines.map(({ flavor, description, dollars }) => (
        create("option", { value: flavor, textContent: `${DOLLARS(dollars)} an hour: ${description}` }))));
      if (offer.machines.some(({ flavor }) => flavor === "t4-small")) form.flavor.value = "t4-small";
      setText($(".leaves"), `The dataset is new, in the account ${offer.owner}. The token goes to the hub as a `
        + "secret of the job, which stores the model with it.");
      draw();
    },
  };
}

/** Returns a function that asks the page what is chosen in the form around this part. */
function createPlanning({ props, watch, trigger }) {
  let resolve = () => {};
  watch("value", () => props.value?.plan && resolve(props.value.plan));
  return () => new Promise((done) => {
    resolve = done;
    trigger("plan", {});
  });
}

/** Starts the part of the form in its element. */
export function mount(component) {
  const { element, trigger } = component;
  const $ = finder(element);
  const [fold, form, request] = [$(".rent"), $("form"), createRequest(component)];
  const plan = createPlanning(component);
  const offer = createOffer($, form);
  const say = (words) => setText($(".said"), words);
  const work = createLongWork(request, disabling(form));

  async function run(name, ...values) {
    say(stepText(""));
    try {
      const answer = await work.run(() => request(name, ...values), ({ text }) => say(stepText(text)));
      if (answer) say("");
      return answer;
    } catch ({ message }) {
      say(message);
      return null;
    }
  }

  async function prices() {
    offer.show(null);
    const answer = await run("machines", form.token.value);
    if (answer) offer.show(answer);
  }

  async function open() {
    const known = await request("account").catch(({ message }) => say(message));
    if (!known) return;
    $(".own-token").hidden = known.signed_in;
    if (known.signed_in) prices();
  }

  async function start() {
    const { machine, minutes, dollars } = offer.chosen();
    const wishes = { ...await plan(), flavor: machine.flavor, minutes, dollars, token: form.token.value };
    const answer = await run("begin_on_hub", wishes);
    if (!answer) return;
    fold.open = false;
    trigger("started", { key: answer.key });
  }

  fold.addEventListener("toggle", () => {
    if (fold.open) return open();
    form.token.value = "";
    return offer.show(null);
  });
  $(".prices").addEventListener("click", prices);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (offer.chosen()) start();
    else if ($(".offer").hidden) prices(); // Enter in the field of the token
  });
}
