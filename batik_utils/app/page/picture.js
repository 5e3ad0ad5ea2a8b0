// One file to the pixels that the model is given, and to a preview. Nothing here leaves the page.
import { inspect, LIMITS, Refusal } from "./header.js";
import { resize } from "./resize.js";

const PREVIEW = 720; // pixels on its longer side

/**
 * A file as {pixels, preview}: RGB bytes [size, size, 3], and a blob: address. Throws a Refusal.
 * As in batik_utils/data/decode.py: by content and not by name, upright, the first frame, transparency over white, no
 * colour profile.
 */
export async function readPicture(file, { size, resize: method, fit }) {
  if (file.size > LIMITS.bytes) throw new Refusal("refused.bytes", { megabytes: LIMITS.bytes / 1e6 });
  const bytes = await file.arrayBuffer().then((buffer) => new Uint8Array(buffer)).catch(() => {
    throw new Refusal("refused.unreadable"); // a folder, or a file that is gone
  });
  const bitmap = await decode(bytes, inspect(bytes));
  try {
    const seen = fit === "crop" ? middle(bitmap) : { left: 0, top: 0, width: bitmap.width, height: bitmap.height };
    const pixels = await resize(seen.width, seen.height, size, method, rowsOf(bitmap, seen));
    return { pixels, preview: await preview(bitmap, seen) };
  } finally {
    bitmap.close();
  }
}

async function decode(bytes, type) {
  const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" }; // upright it is of itself
  try {
    return await createImageBitmap(new Blob([bytes], { type }), options);
  } catch {
    throw new Refusal(type === "image/heic" ? "refused.heic" : "refused.broken");
  }
}

function whiteCanvas(width, height) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  // Opaque: transparent places show the white below. Read often: its pixels stay in plain memory, and exact.
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.fillStyle = "#fff";
  return { canvas, context };
}

/** The largest square in the middle; where there are two, the one to the left or above. */
function middle({ width, height }) {
  const side = Math.min(width, height);
  return { left: Math.floor((width - side) / 2), top: Math.floor((height - side) / 2), width: side, height: side };
}

/** A function that reads rows of a part of a bitmap as RGBA bytes, by way of a canvas no larger than they are. */
function rowsOf(bitmap, { left, top, width }) {
  let strip = { rows: 0 };
  return (first, rows) => {
    if (strip.rows !== rows) strip = { rows, ...whiteCanvas(width, rows) };
    strip.context.fillRect(0, 0, width, rows);
    strip.context.drawImage(bitmap, left, top + first, width, rows, 0, 0, width, rows);
    return strip.context.getImageData(0, 0, width, rows).data;
  };
}

/** What the model sees of a picture, for people: the colours of its evidence lie over it place by place. */
async function preview(bitmap, seen) {
  const scale = Math.min(1, PREVIEW / Math.max(seen.width, seen.height));
  const [width, height] = [seen.width, seen.height].map((side) => Math.max(1, Math.round(side * scale)));
  const { canvas, context } = whiteCanvas(width, height);
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, seen.left, seen.top, seen.width, seen.height, 0, 0, width, height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.88));
  return URL.createObjectURL(blob);
}
