// The model: its bytes out of the page, the runtime started, a picture's pixels turned into an answer.
// LiteRT, from the npm package @litertjs/core, runs with its WebAssembly out of this page instead of from a server.
// The builder puts the package's two scripts into the functions `loader` and `library` (see ../build.py).
import { library, loader } from "@litertjs/core";

/** The runtime's functions, once it runs the WebAssembly that it is given. */
async function loadRuntime(wasmBinary) {
  // Or the runtime would wake the graphics processor, which it is not asked to use.
  Object.defineProperty(navigator, "gpu", { value: undefined, configurable: true });
  const start = loader();
  // Stands in for @litertjs/wasm-utils, which would fetch the script that is here already.
  const options = { wasmBinary, locateFile: (name) => name, printErr: () => {} }; // it tells of its start as of errors
  const litert = library(async (Library) => new Library(await start(options)));
  await litert.loadLiteRt("");
  return litert;
}

/** A gzipped, base64 data block of the page, as bytes. */
async function unpack(id) {
  const block = document.getElementById(id);
  const text = atob(block.textContent.trim());
  block.remove(); // megabytes that are not needed twice
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The classifier of this page's data blocks. */
export async function loadClassifier(facts) {
  const [wasm, model, training] = await Promise.all(["runtime", "model", "training"].map(unpack));
  const { loadAndCompile, Tensor } = await loadRuntime(wasm);
  const network = await loadAndCompile(model, { accelerator: "wasm" });
  return new Classifier(facts, network, Tensor, fromHalf(training));
}

class Classifier {
  constructor(facts, network, Tensor, training) {
    Object.assign(this, { facts, network, Tensor, training });
  }

  /** {probabilities [m], features [d], evidence [h, w, m] or undefined} of RGB bytes [size, size, 3]; and their shapes. */
  async run(pixels) {
    const { size } = this.facts;
    const image = new this.Tensor(pixels, [1, size, size, 3]);
    try {
      const outputs = await this.network.run({ image });
      const found = Object.entries(outputs).map(([name, tensor]) => {
        const values = tensor.toTypedArray(), shape = [...tensor.type.layout.dimensions];
        tensor.delete();
        return [name, { values, shape }];
      });
      return Object.fromEntries(found);
    } finally {
      image.delete();
    }
  }

  /** What is said of a picture: {ranked, among, batik, distance, nearest, outputs}. */
  async answer(pixels) {
    const outputs = await this.run(pixels);
    const probabilities = outputs.probabilities.values;
    const ranked = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b);
    const { gate, sets } = this.facts;
    const among = ranked.filter((motif, place) => !place || (sets && probabilities[motif] >= 1 - sets.threshold));
    const nearest = this.nearest(outputs.features.values);
    const distances = nearest.slice(0, gate?.neighbours ?? 0).map(({ distance }) => distance);
    const distance = gate ? distances.reduce((a, b) => a + b, 0) / distances.length : null;
    return { probabilities, ranked, among, distance, batik: !gate || distance <= gate.threshold, nearest, outputs };
  }

  /** All training pictures {row, distance}, the most alike first; distance is 1 − the cosine. */
  nearest(features) {
    const { rows, width } = this.facts.training;
    const found = rows.map((row, i) => {
      let dot = 0;
      for (let k = 0, at = i * width; k < width; k++) dot += features[k] * this.training[at + k];
      return { row, distance: Math.max(0, 1 - dot) };
    });
    return found.sort((a, b) => a.distance - b.distance);
  }
}

/** Little-endian half-precision numbers as Float32Array. */
function fromHalf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 2 }, (_, i) => {
    const half = view.getUint16(2 * i, true);
    const power = (half >> 10) & 31, fraction = half & 1023;
    const size = power ? 2 ** (power - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction;
    return half >> 15 ? -size : size;
  });
}
