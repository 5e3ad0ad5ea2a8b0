// Pillow's Image.resize for RGB pictures, bit for bit: what a model was trained on is what it must be given.
// A port of Pillow's libImaging/Resample.c (bilinear, fixed point, 8 bits between the passes) and Geometry.c (nearest).

const BITS = 32 - 8 - 2; // of a weight's fraction
const STRIP = 256; // rows read at a time, after which the page may breathe

/**
 * A picture as `size` × `size` RGB bytes. `method` is "bilinear" or "nearest"; `read(top, rows)` gives rows of the
 * picture as RGBA bytes.
 */
export async function resize(width, height, size, method, read) {
  return method === "nearest" ? nearest(width, height, size, read) : bilinear(width, height, size, read);
}

async function bilinear(width, height, size, read) {
  const across = weights(width, size), down = weights(height, size);
  // The order in which Pillow 13 makes its two passes, each rounded to bytes.
  const downFirst = height > size && height - size > 2 * (width - size);
  const sums = new Int32Array(size * (downFirst ? width : size) * 3).fill(1 << (BITS - 1));
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top), rgba = read(top, rows);
    if (downFirst) addRows(rgba, 4, width, rows, top, down, sums);
    else addRows(shrinkRows(rgba, 4, width, rows, across), 3, size, rows, top, down, sums);
    if (top + STRIP < height) await new Promise((resolve) => setTimeout(resolve));
  }
  const low = Uint8Array.from(sums, rounded);
  return downFirst ? shrinkRows(low, 3, width, size, across) : low;
}

const rounded = (sum) => Math.min(255, Math.max(0, sum >> BITS));

/** For each of `to` places: where its neighbours begin, how many they are, and their weights as integers. */
function weights(from, to) {
  const scale = from / to;
  const reach = Math.max(scale, 1); // of the triangle, which widens where pixels are many
  const most = Math.ceil(reach) * 2 + 1;
  const starts = new Int32Array(to), counts = new Int32Array(to), values = new Int32Array(to * most);
  for (let place = 0; place < to; place++) {
    const centre = (place + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const count = Math.min(Math.trunc(centre + reach + 0.5), from) - start;
    const heights = Array.from({ length: count }, (_, i) =>
      Math.max(0, 1 - Math.abs((i + start - centre + 0.5) * (1 / reach))));
    const sum = heights.reduce((a, b) => a + b, 0);
    heights.forEach((value, i) => { values[place * most + i] = Math.trunc(0.5 + (value / sum) * 2 ** BITS); });
    starts[place] = start;
    counts[place] = count;
  }
  return { places: to, starts, counts, values, most };
}

/** Rows of `width` pixels, `step` bytes each, as rows of as many RGB pixels as there are places. */
function shrinkRows(bytes, step, width, rows, { places, starts, counts, values, most }) {
  const out = new Uint8Array(rows * places * 3);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let place = 0; place < places; place++) {
      let red = 1 << (BITS - 1), green = red, blue = red;
      let from = (row * width + starts[place]) * step;
      for (let i = place * most, end = i + counts[place]; i < end; i++, from += step) {
        const weight = values[i];
        red += bytes[from] * weight;
        green += bytes[from + 1] * weight;
        blue += bytes[from + 2] * weight;
      }
      out[at++] = rounded(red);
      out[at++] = rounded(green);
      out[at++] = rounded(blue);
    }
  }
  return out;
}

/** Adds rows, the first of which is row `top` of the picture, to the sums [places, width, 3] that they have a part in. */
function addRows(bytes, step, width, rows, top, { places, starts, counts, values, most }, sums) {
  for (let place = 0; place < places; place++) {
    const first = Math.max(starts[place], top), end = Math.min(starts[place] + counts[place], top + rows);
    for (let row = first; row < end; row++) {
      const weight = values[place * most + row - starts[place]];
      let from = (row - top) * width * step, to = place * width * 3;
      for (let x = 0; x < width; x++, from += step, to += 3) {
        sums[to] += bytes[from] * weight;
        sums[to + 1] += bytes[from + 1] * weight;
        sums[to + 2] += bytes[from + 2] * weight;
      }
    }
  }
}

function nearest(width, height, size, read) {
  const columns = middles(width, size), out = new Uint8Array(size * size * 3);
  let at = 0;
  for (const row of middles(height, size)) {
    const rgba = read(row, 1);
    for (const column of columns) for (let channel = 0; channel < 3; channel++) out[at++] = rgba[column * 4 + channel];
  }
  return out;
}

/** The pixel under the middle of each place; summed up step by step, as Pillow does, for the same roundings. */
function middles(from, to) {
  const step = from / to;
  let middle = step * 0.5;
  return Array.from({ length: to }, () => {
    const pixel = Math.trunc(middle);
    middle += step;
    return pixel;
  });
}
