// One picture's answer as an article: the verdict, the bars, and how it was decided.
import { element, tabs } from "./dom.js";
import { exactMap, LOOKS, occlusionMaps, paint } from "./evidence.js";
import { currentLanguage, list, number, percent, say } from "./words.js";

const BARS = 5; // motifs shown at once; the others are folded away
const PLATES = 2; // motifs told of
const ALIKE = 5; // training pictures shown

/** A motif's name in the reader's language, from its plate or its folder. */
export const motifName = (facts, motif) =>
  facts.plates[facts.motifs[motif]]?.title[currentLanguage()] ?? facts.names[motif];

/** The one line that answers. */
export function verdict(facts, { batik, among }) {
  if (!batik) return say(facts.batik ? "verdict.strange" : "verdict.unlike");
  if (among.length === 1) return motifName(facts, among[0]);
  const values = { count: number(among.length), motifs: list(among.map((motif) => motifName(facts, motif))) };
  if (among.length === 2) return say("verdict.two", values);
  return say(among.length === facts.motifs.length ? "verdict.all" : "verdict.some", values);
}

/** The card of an item: {id, name, and either refusal, or picture and answer, or neither while it waits}. */
export function card(item, classifier, facts) {
  const title = `card-${item.id}`;
  const waiting = !item.answer && !item.refusal;
  const heading = item.refusal ? say("refused", { name: item.name })
    : waiting ? say("looking", { name: item.name }) : verdict(facts, item.answer);
  const kind = item.refusal ? "refused" : waiting ? "waiting" : item.answer.batik ? "answered" : "strange";
  const head = element("h3", { id: title, textContent: heading });
  const body = item.refusal ? [element("p", { textContent: say(item.refusal.word, item.refusal.values) })]
    : waiting ? [] : answered(item, classifier, facts);
  return element("article", { className: `card ${kind}`, "aria-labelledby": title },
    item.answer && element("img", { className: "preview", src: item.picture.preview, alt: say("alt", { name: item.name }) }),
    element("div", { className: "said" }, head, body));
}

function answered(item, classifier, facts) {
  const panels = [element("div"), element("div")];
  panels[0].append(...answerPanel(item.answer, facts));
  const sure = item.answer.batik && item.answer.among.length === 1 && percent(item.answer.probabilities[item.answer.ranked[0]]);
  return [
    element("p", { className: "file", textContent: [sure, item.name].filter(Boolean).join(" · ") }),
    ...tabs(`tabs-${item.id}`, say("tabs", { name: item.name }), [say("tab.answer"), say("tab.why")], panels, item.tab ?? 0,
      (index) => {
        item.tab = index;
        if (index === 1 && !panels[1].childElementCount) panels[1].append(...whyPanel(item, classifier, facts));
      }),
  ];
}

function answerPanel(answer, facts) {
  const { batik, among, distance } = answer;
  if (batik) return [...bars(answer, facts), ...among.slice(0, PLATES).map((motif) => plate(motif, facts)).filter(Boolean)];
  const values = { distance: number(distance, 2), threshold: number(facts.gate.threshold, 2) };
  return [
    element("p", { textContent: say("strange", values) }),
    element("details", {}, element("summary", { textContent: say("all.the.same") }), bars(answer, facts)),
  ];
}

function bars({ ranked, probabilities, among, batik }, facts) {
  const bar = (motif) => {
    const fill = element("span", { className: "fill" });
    fill.style.width = `${100 * probabilities[motif]}%`;
    const named = batik && among.includes(motif) && "named";
    return element("li", { className: named || null, "data-motif": facts.motifs[motif], "data-probability": String(probabilities[motif]) },
      element("span", { className: "name", textContent: motifName(facts, motif) }),
      element("span", { className: "track", "aria-hidden": "true" }, fill),
      element("span", { className: "value", textContent: percent(probabilities[motif]) }));
  };
  const few = ranked.length <= BARS + 1 ? ranked.length : BARS; // a fold for one motif would save nothing
  const others = ranked.slice(few);
  return [
    element("ol", { className: "bars" }, ranked.slice(0, few).map(bar)),
    others.length && element("details", {},
      element("summary", { textContent: say("others", { count: number(others.length) }) }),
      element("ol", { className: "bars", start: few + 1 }, others.map(bar))),
  ].filter(Boolean);
}

function plate(motif, facts) {
  const known = facts.plates[facts.motifs[motif]];
  return known && element("section", { className: "plate" },
    element("h4", { textContent: say("plate", { motif: motifName(facts, motif) }) }),
    element("p", { textContent: known.short[currentLanguage()] }),
    element("p", { className: "source", textContent: say("sources", { sources: known.sources.join("; ") }) }));
}

function whyPanel(item, classifier, facts) {
  return [element("h4", { textContent: say("evidence") }), evidence(item, classifier, facts),
    element("h4", { textContent: say("nearest") }),
    element("p", { className: "note", textContent: say("nearest.note") }),
    element("ol", { className: "alike" }, item.answer.nearest.slice(0, ALIKE).map((near) => alike(near, facts)))];
}

function alike({ row, distance }, facts) {
  const palette = element("span", { className: "palette", "aria-hidden": "true" }, row.palette.map(([colour, share]) => {
    const part = element("span");
    part.style.background = colour;
    part.style.flexGrow = share;
    return part;
  }));
  return element("li", {}, palette,
    element("span", { className: "name", textContent: motifName(facts, row.motif) }),
    element("span", { className: "file", textContent: row.name.split("/").at(-1) }),
    element("span", { className: "value", textContent: say("likeness", { value: number(1 - distance, 2) }) }));
}

function evidence(item, classifier, facts) {
  const { answer, picture } = item, id = `evidence-${item.id}`;
  const exact = answer.outputs.evidence && ((motif) => exactMap(answer.outputs.evidence, motif));
  item.maps ??= exact;
  const canvas = element("canvas", { "aria-hidden": "true", width: 1, height: 1 });
  const choice = element("select", { id: `${id}-motif`, onchange: () => show() },
    answer.ranked.map((motif) => element("option", { value: String(motif), textContent: motifName(facts, motif) })));
  const strength = element("input", {
    type: "range", id: `${id}-strength`, min: 0, max: 100, value: 70,
    oninput: () => { canvas.style.opacity = strength.value / 100; },
  });
  canvas.style.opacity = 0.7;
  const speaksFor = element("span"), told = element("p", { className: "note" });
  const show = () => {
    const motif = motifName(facts, Number(choice.value));
    speaksFor.textContent = say("evidence.for", { motif });
    told.textContent = say(exact ? "evidence.exact" : "evidence.occlusion", { motif });
    if (item.maps) paint(canvas, item.maps(Number(choice.value)));
  };
  const work = item.maps ? [] : occlusion(item, classifier, facts, () => { show(); choice.focus(); });
  show();
  return element("div", { className: "evidence" },
    element("div", { className: "overlay" },
      element("img", { src: picture.preview, alt: say("alt", { name: item.name }) }), canvas),
    element("div", { className: "controls" },
      element("label", { htmlFor: choice.id, textContent: say("evidence.motif") }), choice,
      element("label", { htmlFor: strength.id, textContent: say("evidence.strength") }), strength,
      element("ul", { className: "legend" },
        element("li", { className: "for" }, speaksFor),
        element("li", { className: "against", textContent: say("evidence.against") })),
      told, work));
}

function occlusion(item, classifier, facts, done) {
  const bar = element("progress", { max: 1, value: 0, hidden: true, "aria-label": say("evidence.progress") });
  const start = element("button", {
    type: "button", textContent: say("evidence.start", { count: number(LOOKS) }),
    onclick: async () => {
      start.disabled = true;
      bar.hidden = false;
      const run = (pixels) => classifier.run(pixels);
      item.maps = await occlusionMaps(item.picture.pixels, facts.size, run, (share) => { bar.value = share; });
      bar.hidden = start.hidden = true;
      done();
    },
  });
  return [start, bar];
}
