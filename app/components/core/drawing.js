// The one way in which the page has faces drawn: recipes in, pictures out. Behind it is the server, or the browser.
/** Draws faces of the model that were not drawn yet; one that cannot be drawn keeps none of the others away. */
export async function drawMissing({ drawing, pictures, isOfModel, model }, recipes) {
  const add = (some) => drawing.draw(some).catch(() => []);
  const missing = recipes.filter((recipe) => isOfModel(recipe) && !pictures.has(recipe));
  for (let start = 0; start < missing.length; start += model.most) {
    const some = missing.slice(start, start + model.most);
    if ((await add(some)).length) continue;
    for (const recipe of some) await add([recipe]);
  }
}

/**
 * Creates the drawing. Each of its functions returns recipes as the server writes them, whose pictures are then in
 * `pictures`; it throws an Error with a message for the visitor.
 *
 * gone(words): called where the model in use was deleted; it tells the visitor. request(tool, fields, waiting): draws,
 * as requestFaces in shared/face-requests.js does.
 */
export function createDrawing(core, gone, request) {
  async function ask(tool, fields) {
    let waited = false;
    const waiting = (place) => {
      waited = true;
      core.sayPlace(place);
    };
    try {
      return await request(tool, { key: core.model.key, ...fields }, tool === "sharp" ? undefined : waiting);
    } catch (error) {
      if (error.missing) gone(error.message);
      throw Object.assign(error, { told: error.missing });
    } finally {
      if (waited) core.say("");
    }
  }

  const draw = async (tool, fields) => core.pictures.add(await ask(tool, fields));

  /** A face that the model in use has drawn; after a change of the model the one on view is not, for a moment. */
  function checked(recipe) {
    if (!core.isOfModel(recipe)) throw new Error("This face is of another model.");
    return recipe;
  }

  return {
    draw: (recipes) => draw("draw", { recipes }),
    /** So many clear faces of seeds from one on: of every four the clearest, of all where a model has no clarity. */
    fresh: (count, seed, { truncation, clarity }) => draw("fresh", { count, seed, truncation, clarity }),
    /** The faces of seeds, with what is locked taken from a face. */
    rollBeside: (recipe, seeds, locks) => draw("roll", { recipe, seeds, locks }),
    /** The same of so many clear faces of seeds from one on, chosen with what is locked. */
    freshBeside: (recipe, count, seed, locks) => draw("beside", { recipe, count, seed, locks }),
    /** Eight variations of a face. strength: 0 to 1. */
    vary: async (recipe, strength, seed, locks) => draw("vary", { recipe: checked(recipe), strength, seed, locks }),
    /** A face moved along directions. amounts: by name; own: vectors of the visitor's own, by name. */
    steer: (recipe, amounts, own) => draw("steer", { recipe, amounts, own }),
    breed: (recipes, mutation, seed) => draw("breed", { recipes, mutation, seed }),
    /** The faces on the way from one face to another in equal steps, both left out. */
    between: (a, b, steps) => draw("between", { a, b, steps }),
    /** The face A - B + C. */
    mix: (a, b, c) => draw("mix", { a, b, c }),
    /** The picture of a face at 512 px. */
    sharp: async (recipe) => (await ask("sharp", { recipe: checked(recipe) })).picture,
  };
}
