// Runs functions of the static edition's modules for the tests in this folder: calls as JSON on standard input, one
// array of [module, function, ...arguments]; answers as JSON on standard output. "seeds" writes raw bytes instead.
import { readFileSync } from "node:fs";

const FOLDER = new URL("../../../app/components/static/", import.meta.url);
const calls = JSON.parse(readFileSync(0, "utf8"));
const open = (name) => import(new URL(`${name}.js`, FOLDER));

/** Latents of seeds, as bytes. */
async function latents(seeds, dim) {
  const { latentOfSeed } = await open("recipe");
  process.stdout.write(Buffer.concat(seeds.map((seed) => new Uint8Array(latentOfSeed(seed, dim).buffer))));
}

/** Typed arrays from lists: {f4: [...]} and {f8: [...]}. */
function typed(value) {
  if (Array.isArray(value)) return value.map(typed);
  if (value === null || typeof value !== "object") return value;
  if (value.f4) return Float32Array.from(value.f4);
  if (value.f8) return Float64Array.from(value.f8);
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, typed(entry)]));
}

const plain = (value) => (ArrayBuffer.isView(value) ? [...value] : Array.isArray(value) ? value.map(plain) : value);

async function answer([module, name, ...values]) {
  const found = (await open(module))[name];
  try {
    return plain(await found(...typed(values)));
  } catch (error) {
    return { error: error.message };
  }
}

/** Calls functions of the artist of a model: [["tool", {...}], ...]; answers with recipes as text. */
async function art(about, asked) {
  const { createArtist } = await open("artist");
  const artist = createArtist(typed(about));
  return asked.map(([tool, ...values]) => {
    try {
      if (tool === "path") return plain(artist.path(...values));
      const result = artist.tools[tool](...values);
      if (typeof result === "string") return result;
      return { recipes: result.map(artist.write), latents: plain(result.map(artist.latentOf)) };
    } catch (error) {
      return { error: error.message };
    }
  });
}

const [first] = calls;
if (first[0] === "seeds") await latents(first[1], first[2]);
else if (first[0] === "art") process.stdout.write(JSON.stringify(await art(first[1], first[2])));
else process.stdout.write(JSON.stringify(await Promise.all(calls.map(answer))));
