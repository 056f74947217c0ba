// The models that this visitor has trained here, to choose from: the keys that this browser keeps open them.
const MOST_KEYS = 50;
const SECONDS = 10; // between two questions while they are in sight
let [seen, asked] = [false, 0];

async function list() {
  asked = Date.now();
  let keys = [];
  try {
    keys = JSON.parse(localStorage.getItem("ganime-jobs")).map((job) => job.key).filter((key) => typeof key === "string");
  } catch {
    // nothing is kept, or nothing can be: there are no models to choose
  }
  const answer = keys.length ? await server.mine([keys.slice(0, MOST_KEYS)]).catch(() => null) : { jobs: [] };
  if (!answer?.jobs) return; // no answer: what was listed stays
  const models = answer.jobs.filter((job) => job.has_model);
  $(".own").hidden = !models.length;
  $(".list").replaceChildren(...models.map(({ key, name }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name || "Unnamed";
    button.addEventListener("click", () => trigger("use", { key }));
    return button;
  }));
}

const timer = setInterval(() => {
  if (!element.isConnected) return clearInterval(timer);
  const visible = document.visibilityState === "visible" && element.offsetParent !== null;
  if (visible && (!seen || Date.now() - asked > SECONDS * 1000)) list();
  seen = visible;
}, 500);
