// What a file's first bytes say it is, before anything decodes it. The limits are those of batik_utils/data/decode.py,
// but for the file's size.

export const LIMITS = { bytes: 100_000_000, pixels: 64_000_000, side: 32_768, scans: 64, scanned: 1_000_000_000 };

/** A file that is turned away, kindly: `word` is a key of words.json, `values` fill its places. */
export class Refusal extends Error {
  constructor(word, values = {}) {
    super(word);
    this.word = word;
    this.values = values;
  }
}

const ascii = (bytes, from, count) => String.fromCharCode(...bytes.subarray(from, from + count));
const big16 = (bytes, at) => (bytes[at] << 8) | bytes[at + 1];
const big32 = (bytes, at) => big16(bytes, at) * 65536 + big16(bytes, at + 2);
const little16 = (bytes, at) => bytes[at] | (bytes[at + 1] << 8);
const little24 = (bytes, at) => little16(bytes, at) | (bytes[at + 2] << 16);
const little32 = (bytes, at) => little16(bytes, at) + little16(bytes, at + 2) * 65536;

// type; whether a file begins so; its width and height; whether it is whole.
const KINDS = [
  {
    type: "image/jpeg",
    is: (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8,
    size: jpegSize,
    whole: (bytes) => find(bytes, [0xff, 0xd9], find(bytes, [0xff, 0xda])) >= 0,
  },
  {
    type: "image/png",
    is: (bytes) => ascii(bytes, 0, 8) === "\x89PNG\r\n\x1a\n",
    size: (bytes) => [big32(bytes, 16), big32(bytes, 20)],
    whole: (bytes) => find(bytes, [0x49, 0x45, 0x4e, 0x44], 8) >= 0,
  },
  {
    type: "image/gif",
    is: (bytes) => ascii(bytes, 0, 4) === "GIF8",
    size: (bytes) => [little16(bytes, 6), little16(bytes, 8)],
  },
  {
    type: "image/webp",
    is: (bytes) => ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 4) === "WEBP",
    size: webpSize,
    whole: (bytes) => little32(bytes, 4) + 8 <= bytes.length,
  },
  {
    type: "image/bmp",
    is: (bytes) => ascii(bytes, 0, 2) === "BM",
    size: (bytes) => [Math.abs(little32(bytes, 18) | 0), Math.abs(little32(bytes, 22) | 0)],
  },
  // Read where the browser can; its size stands in a box of its own.
  { type: "image/heic", is: (bytes) => ascii(bytes, 4, 4) === "ftyp", size: boxSize },
];

/** The media type of a picture's bytes; throws a Refusal for what is none, is cut off, or claims to be too large. */
export function inspect(bytes) {
  if (!bytes.length) throw new Refusal("refused.empty");
  const kind = KINDS.find(({ is }) => is(bytes));
  if (!kind) throw new Refusal(textual(bytes));
  const size = kind.size(bytes);
  if (!size || size.some((side) => !(side >= 1))) throw new Refusal("refused.broken");
  const [width, height] = size;
  const claims = { width, height };
  if (width * height > LIMITS.pixels || Math.max(width, height) > LIMITS.side) throw new Refusal("refused.pixels", claims);
  if (kind.type === "image/jpeg" && scans(bytes) > Math.min(LIMITS.scans, LIMITS.scanned / (width * height))) {
    throw new Refusal("refused.pixels", claims);
  }
  if (kind.whole && !kind.whole(bytes)) throw new Refusal("refused.cut");
  return kind.type;
}

function textual(bytes) {
  const start = new TextDecoder().decode(bytes.subarray(0, 1024)).trimStart().toLowerCase();
  if (/^(<\?xml[^>]*>\s*)?(<!--[^]*?-->\s*|<!doctype svg[^>]*>\s*)*<svg/.test(start)) return "refused.svg";
  if (/^(<!doctype html|<html|<head|<!--)/.test(start)) return "refused.html";
  return "refused.unknown";
}

function find(bytes, wanted, from = 0) {
  for (let at = bytes.indexOf(wanted[0], Math.max(from, 0)); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}

function scans(bytes) {
  let count = 0;
  for (let at = find(bytes, [0xff, 0xda]); at >= 0; at = find(bytes, [0xff, 0xda], at + 2)) count++;
  return count;
}

function jpegSize(bytes) {
  for (let at = 2; at + 9 < bytes.length; ) {
    if (bytes[at] !== 0xff) return null;
    const marker = bytes[at + 1];
    if (marker === 0xff || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += marker === 0xff ? 1 : 2; // padding, and markers that stand alone
    } else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return [big16(bytes, at + 7), big16(bytes, at + 5)];
    } else {
      at += 2 + big16(bytes, at + 2);
    }
  }
  return null;
}

function webpSize(bytes) {
  switch (ascii(bytes, 12, 4)) {
    case "VP8X":
      return [little24(bytes, 24) + 1, little24(bytes, 27) + 1];
    case "VP8L": {
      const both = little32(bytes, 21);
      return [(both & 0x3fff) + 1, ((both >>> 14) & 0x3fff) + 1];
    }
    case "VP8 ":
      return [little16(bytes, 26) & 0x3fff, little16(bytes, 28) & 0x3fff];
    default:
      return null;
  }
}

function boxSize(bytes) {
  const at = find(bytes.subarray(0, 65536), [0x69, 0x73, 0x70, 0x65]); // "ispe"
  return at < 0 ? null : [big32(bytes, at + 8), big32(bytes, at + 12)];
}
