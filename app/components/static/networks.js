// The networks in ONNX Runtime. Pictures are {side, pixels}: RGBA in bytes.
import { roundEven } from "./encoding.js";
import { resized } from "./resizing.js";

const BATCH = 8; // faces
const SCALE = 4; // of the upscaler

/** Colours as ONNX Runtime gives them, three planes, as bytes. toByte(value): 0 to 255, with a fraction. */
function pixelsOf(values, start, side, toByte) {
  const count = side * side;
  const pixels = new Uint8ClampedArray(4 * count).fill(255);
  for (let channel = 0; channel < 3; channel += 1) {
    for (let at = 0; at < count; at += 1) {
      pixels[4 * at + channel] = roundEven(toByte(values[start + channel * count + at]));
    }
  }
  return { side, pixels };
}

async function run(ort, session, data, shape) {
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  const answer = await session.run({ [input]: new ort.Tensor("float32", data, shape) });
  const values = answer[output];
  const result = { data: values.data, side: values.dims[3] };
  return result;
}

/** Creates paint(latents, report), which draws faces. report(share): progress. */
export async function createPainter(ort, network) {
  const session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
  return async (latents, report = () => {}) => {
    const faces = [];
    for (let first = 0; first < latents.length; first += BATCH) {
      const batch = latents.slice(first, first + BATCH);
      const data = new Float32Array(batch.length * batch[0].length);
      batch.forEach((z, index) => data.set(z, index * z.length));
      const { data: values, side } = await run(ort, session, data, [batch.length, batch[0].length]);
      const face = (_, index) => pixelsOf(values, 3 * side * side * index, side, (value) => (value + 1) * 127.5);
      faces.push(...batch.map(face));
      report(faces.length / latents.length);
    }
    return faces;
  };
}

/** The least even side from which one enlargement reaches a size. */
const leastSide = (size) => 2 * Math.ceil(size / (2 * SCALE));

/** Creates enlarge(picture, size): the picture at a larger side, with clean lines. See ganime/drawing/sharpening.py. */
export async function createUpscaler(ort, network) {
  const session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });

  async function enlarged({ side, pixels }) {
    const count = side * side;
    const data = Float32Array.from({ length: 3 * count }, (_, at) => (
      pixels[4 * (at % count) + Math.floor(at / count)] / 255));
    const large = await run(ort, session, data, [1, 3, side, side]);
    return pixelsOf(large.data, 0, large.side, (value) => value * 255);
  }

  return async (picture, size) => {
    let large = await enlarged(picture);
    while (large.side < size) large = await enlarged(resized(large, Math.min(large.side, leastSide(size))));
    return resized(large, size);
  };
}
