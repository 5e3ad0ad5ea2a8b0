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
  const across = weights(width, size);
  const narrow = new Uint8Array(height * size * 3);
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    shrinkRows(read(top, rows), width, rows, size, across, narrow, top * size * 3);
    if (top + STRIP < height) await new Promise((resolve) => setTimeout(resolve));
  }
  return shrinkColumns(narrow, height, size, weights(height, size));
}

/** For each of `to` places: where its neighbours begin, how many they are, and their weights as integers. */
function weights(from, to) {
  if (from === to) return null; // a pass that changes nothing is left out
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
  return { starts, counts, values, most };
}

const rounded = (sum) => Math.min(255, Math.max(0, sum >> BITS));

function shrinkRows(rgba, width, rows, size, across, out, at) {
  for (let row = 0; row < rows; row++) {
    const begin = row * width * 4;
    for (let place = 0; place < size; place++) {
      let red = 1 << (BITS - 1), green = red, blue = red;
      if (across) {
        let from = begin + across.starts[place] * 4;
        for (let i = place * across.most, end = i + across.counts[place]; i < end; i++, from += 4) {
          const weight = across.values[i];
          red += rgba[from] * weight;
          green += rgba[from + 1] * weight;
          blue += rgba[from + 2] * weight;
        }
        out[at++] = rounded(red);
        out[at++] = rounded(green);
        out[at++] = rounded(blue);
      } else {
        for (let channel = 0; channel < 3; channel++) out[at++] = rgba[begin + place * 4 + channel];
      }
    }
  }
}

function shrinkColumns(narrow, height, size, down) {
  if (!down) return narrow;
  const line = size * 3;
  const out = new Uint8Array(size * line);
  for (let place = 0; place < size; place++) {
    const first = place * down.most;
    for (let x = 0; x < line; x++) {
      let sum = 1 << (BITS - 1);
      let from = down.starts[place] * line + x;
      for (let i = first, end = first + down.counts[place]; i < end; i++, from += line) {
        sum += narrow[from] * down.values[i];
      }
      out[place * line + x] = rounded(sum);
    }
  }
  return out;
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
