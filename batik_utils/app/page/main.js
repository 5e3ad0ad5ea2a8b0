// The page itself: takes pictures in, keeps the answers, and shows them in the reader's language.
import { about, known } from "./about.js";
import { card, verdict } from "./card.js";
import { csv, offer } from "./csv.js";
import { element } from "./dom.js";
import { Refusal } from "./header.js";
import { loadClassifier } from "./model.js";
import { readPicture } from "./picture.js";
import { number, preferred, say, setLanguage } from "./words.js";

const MOST = 200; // pictures taken at a time

const byId = (id) => document.getElementById(id);
const facts = JSON.parse(byId("facts").textContent);
let items = [], taken = 0, classifier = null;
let status = () => say("getting"); // said again when the language changes

function tell(text) {
  status = text;
  byId("status").textContent = text();
}

const starting = loadClassifier(facts).then(
  (ready) => { classifier = ready; tell(() => say("ready")); },
  (error) => { console.error(error); document.body.classList.add("stopped"); tell(() => say("stopped")); },
);
let queue = starting;

/** Takes files in the order given; they are looked at one after the other. */
function take(files) {
  if (!files.length) return;
  const batch = element("div", { className: "batch" });
  byId("cards").prepend(batch); // what was given last comes first, each lot in its own order
  byId("answers").hidden = false;
  for (const file of [...files].slice(0, MOST)) {
    const item = { id: taken++, name: file.name || "?" };
    items.push(item);
    batch.append(element("div", { id: `item-${item.id}` }));
    show(item);
    queue = queue.then(() => look(item, file)).catch(console.error); // the others go on
  }
  byId("answers").scrollIntoView({ block: "nearest" });
  if (files.length > MOST) queue = queue.then(() => tell(() => say("many", { count: number(MOST) })));
}

async function look(item, file) {
  if (!items.includes(item)) return; // cleared away meanwhile
  tell(() => say("looking", { name: item.name }));
  try {
    item.picture = await readPicture(file, facts);
    item.answer = await classifier.answer(item.picture.pixels);
  } catch (error) {
    item.refusal = error instanceof Refusal ? error : new Refusal("refused.failed");
  }
  if (!items.includes(item)) return forget(item);
  show(item);
  const done = items.filter(({ answer, refusal }) => answer || refusal).length;
  tell(() => say("done", {
    count: number(done), verdict: item.answer ? verdict(facts, item.answer) : say("refused", { name: item.name }),
  }));
}

function show(item) {
  byId(`item-${item.id}`).replaceWith(Object.assign(card(item, classifier, facts), { id: `item-${item.id}` }));
}

const forget = ({ picture }) => picture && URL.revokeObjectURL(picture.preview);

function clear() {
  items.forEach(forget);
  items = [];
  byId("cards").replaceChildren();
  byId("answers").hidden = true;
  tell(() => say("ready"));
  byId("files").focus();
}

/** Says everything anew in the chosen language. */
function speak(language) {
  setLanguage(language);
  for (const place of document.querySelectorAll("[data-word]")) place.textContent = say(place.dataset.word);
  document.title = `${document.querySelector("h1").textContent} · ${facts.study.title}`;
  for (const place of document.querySelectorAll("[data-label]")) place.setAttribute("aria-label", say(place.dataset.label));
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  byId("known").textContent = known(facts);
  byId("about-list").replaceWith(Object.assign(about(facts), { id: "about-list" }));
  for (const button of document.querySelectorAll("[data-example]")) {
    button.setAttribute("aria-label", say("example", { name: facts.examples[button.dataset.example].name }));
  }
  byId("status").textContent = status();
  items.forEach(show);
}

function example({ name, picture }) {
  const bytes = Uint8Array.from(atob(picture.split(",")[1]), (character) => character.charCodeAt(0));
  return new File([bytes], `${name}.png`, { type: "image/png" });
}

byId("examples").append(...facts.examples.map((drawing, i) => element("button", {
  type: "button", "data-example": String(i), onclick: () => take([example(drawing)]),
}, element("img", { src: drawing.picture, alt: "", width: 72, height: 72 }))));
for (const id of ["files", "camera"]) {
  byId(id).addEventListener("change", ({ target }) => {
    take(target.files);
    target.value = ""; // so that the same file can be chosen again
  });
}
document.addEventListener("paste", ({ clipboardData }) => take(clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault(); // or the browser would open the picture itself
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take(event.dataTransfer.files);
});
byId("clear").addEventListener("click", clear);
byId("save").addEventListener("click", () => {
  const finished = items.filter(({ answer, refusal }) => answer || refusal);
  offer(csv(finished, facts, ({ word, values }) => say(word, values)), "batik.csv");
});
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => speak(button.dataset.language));
}
speak(preferred());
