// The fields of the walk's settings, with undo for them and for the route.

const FIELDS = [".gap", ".speed", ".loop", ".easing", ".side"];
const LINKED = ["gap", "speed", "easing", "side"]; // that a link sets as text

/** Creates access to the fields. changed(): called when a setting or the route is another one. */
export function createWalkFields(stage, changed) {
  const { $ } = stage;
  let route = null; // the faces that a link walks through, null for those of the tray
  let last = null; // the state before the last change, for undo

  const property = (field) => (field.type === "checkbox" ? "checked" : "value");
  const read = () => Object.fromEntries(FIELDS.map((name) => [name.slice(1), $(name)[property($(name))]]));
  const state = () => ({ ...read(), route });
  const remember = () => { last = state(); };

  function note() {
    stage.record("walk", last, state());
    remember();
    changed();
  }

  stage.addPart("walk", {
    words: "Film settings restored.",
    put(before) {
      for (const name of FIELDS) $(name)[property($(name))] = before[name.slice(1)];
      ({ route } = before);
      last = before;
      changed();
    },
  });
  for (const name of FIELDS) $(name).addEventListener("change", note);
  remember();

  return {
    read,
    route: () => route,
    /** Sets the route as a step that undo takes back. */
    changeRoute(recipes) {
      route = recipes;
      note();
    },
    /** Leaves the route of a link, without a step. */
    clearRoute() {
      route = null;
      remember();
    },
    /** Sets the route and the settings of a link; values that a field does not accept are left out. */
    takeLink(recipes, given) {
      route = recipes;
      if (typeof given.loop === "boolean") $(".loop").checked = given.loop;
      for (const name of LINKED) {
        const field = $(`.${name}`);
        const before = field.value;
        field.value = String(given[name] ?? before);
        if (!field.value || !field.checkValidity()) field.value = before;
      }
      remember();
    },
  };
}
