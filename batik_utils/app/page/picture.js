// One file to the pixels that the model is given, and to a preview. Nothing here leaves the page.
import { inspect, LIMITS, Refusal } from "./header.js";
import { resize } from "./resize.js";

const PREVIEW = 720; // pixels on its longer side

/**
 * A file as {name, pixels, preview, width, height}: RGB bytes [size, size, 3], and a blob: address. Throws a Refusal.
 * As in batik_utils/data/decode.py: by content and not by name, upright, the first frame, transparency over white, no
 * colour profile.
 */
export async function readPicture(file, { size, resize: method }) {
  if (file.size > LIMITS.bytes) throw new Refusal("refused.bytes", { megabytes: LIMITS.bytes / 1e6 });
  const bytes = await file.arrayBuffer().then((buffer) => new Uint8Array(buffer)).catch(() => {
    throw new Refusal("refused.unreadable"); // a folder, or a file that is gone
  });
  const bitmap = await decode(bytes, inspect(bytes));
  try {
    const { width, height } = bitmap;
    const pixels = await resize(width, height, size, method, rowsOf(bitmap));
    return { pixels, preview: await preview(bitmap) };
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

/** A function that reads rows of a bitmap as RGBA bytes, by way of a canvas that is no larger than they are. */
function rowsOf(bitmap) {
  let strip = { rows: 0 };
  return (top, rows) => {
    if (strip.rows !== rows) strip = { rows, ...whiteCanvas(bitmap.width, rows) };
    strip.context.fillRect(0, 0, bitmap.width, rows);
    strip.context.drawImage(bitmap, 0, top, bitmap.width, rows, 0, 0, bitmap.width, rows);
    return strip.context.getImageData(0, 0, bitmap.width, rows).data;
  };
}

async function preview(bitmap) {
  const scale = Math.min(1, PREVIEW / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const { canvas, context } = whiteCanvas(width, height);
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.88));
  return URL.createObjectURL(blob);
}
