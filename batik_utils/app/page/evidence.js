// Where in a picture the evidence for a motif lies: {height, width, values}, positive where it speaks for the motif.

const GRID = 7; // fields on a side that occlusion covers one after the other
export const LOOKS = GRID * GRID + 1; // that it takes

/**
 * The model's own arithmetic, where its last step is a mean over places: what each place adds to the motif's score,
 * less what it adds to the average motif, since only differences of scores count in the softmax.
 */
export function exactMap({ values, shape }, motif) {
  const [, height, width, motifs] = shape;
  const map = Float32Array.from({ length: height * width }, (_, place) => {
    const here = values.subarray(place * motifs, (place + 1) * motifs);
    return here[motif] - here.reduce((a, b) => a + b, 0) / motifs;
  });
  return { height, width, values: map };
}

/**
 * Occlusion, for any model: each place in turn is covered with the picture's mean colour, and the map says by how much
 * the logarithm of each motif's probability falls. Returns a function from a motif to its map. `progress(share)` is
 * told how much is done; `run(pixels)` asks the model.
 */
export async function occlusionMaps(pixels, size, run, progress) {
  const logs = ({ probabilities }) => Array.from(probabilities.values, (p) => Math.log(Math.max(p, 1e-12)));
  const whole = logs(await run(pixels));
  const mean = [0, 1, 2].map((channel) => {
    let sum = 0;
    for (let i = channel; i < pixels.length; i += 3) sum += pixels[i];
    return Math.round(sum / (size * size));
  });
  const edges = Array.from({ length: GRID + 1 }, (_, i) => Math.floor((i * size) / GRID));
  const falls = [];
  for (let place = 0; place < GRID * GRID; place++) {
    const covered = pixels.slice();
    const [row, column] = [Math.floor(place / GRID), place % GRID];
    for (let y = edges[row]; y < edges[row + 1]; y++) {
      for (let x = edges[column]; x < edges[column + 1]; x++) covered.set(mean, (y * size + x) * 3);
    }
    const now = logs(await run(covered));
    falls.push(whole.map((log, motif) => log - now[motif]));
    progress((place + 1) / (GRID * GRID));
    await new Promise((resolve) => setTimeout(resolve)); // the page stays alive
  }
  return (motif) => ({ height: GRID, width: GRID, values: Float32Array.from(falls, (fall) => fall[motif]) });
}

/** A map drawn on a canvas of as many pixels: one colour for, another against, clear where there is neither. */
export function paint(canvas, { height, width, values }) {
  const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-12);
  const image = new ImageData(width, height);
  values.forEach((value, place) => {
    const colour = value > 0 ? [255, 138, 0] : [20, 90, 255]; // as --for and --against in page.css
    image.data.set([...colour, Math.round(255 * Math.min(1, Math.abs(value) / most))], place * 4);
  });
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
}
