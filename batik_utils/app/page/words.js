// What the page says, in the reader's language. Every text is in words.json, under one key in each language.

const WORDS = JSON.parse(document.getElementById("words").textContent);
const LOCALES = { en: "en-GB" }; // how numbers and lists are written, where the language alone does not say
let language = "en";

/** The first of the reader's languages that the page speaks. */
export function preferred() {
  const known = navigator.languages.map((tag) => tag.toLowerCase().split("-")[0].replace(/^in$/, "id")); // "in" is its old code
  return known.find((tag) => tag in WORDS) ?? "en";
}

export function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
}

const locale = () => LOCALES[language] ?? language;

export const currentLanguage = () => language;

/** A text with its {places} filled. */
export function say(key, values = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** 0.8667 as 86.7% or 86,7%; never 100% or 0% of what is only nearly so. */
export function percent(share, digits = 1) {
  const least = 0.5 * 10 ** (-digits - 2);
  const sign = share > 1 - least && share < 1 ? ">" : share < least && share > 0 ? "<" : "";
  const shown = sign === ">" ? 1 - 2 * least : sign === "<" ? 2 * least : share;
  const format = { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits };
  return sign + (sign && "\u202f") + new Intl.NumberFormat(locale(), format).format(shown);
}

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** "A, B or C", "A, B, atau C"; `type` "conjunction" joins with "and". */
export const list = (names, type = "disjunction") => new Intl.ListFormat(locale(), { type }).format(names);
