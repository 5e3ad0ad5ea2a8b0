// What must be known to use the classifier well: what it knows, how often it is right, what it must not be used for.
import { motifName } from "./card.js";
import { element } from "./dom.js";
import { currentLanguage, list, number, percent, say } from "./words.js";

/** The sentence on which motifs it knows. */
export const known = (facts) => say("known", {
  count: number(facts.motifs.length),
  motifs: list(facts.motifs.map((_, motif) => motifName(facts, motif)), "conjunction"),
});

/** The share of the commonest motif: what always naming it would get right. */
function commonest({ motifs, training }) {
  const counts = motifs.map((_, motif) => training.rows.filter((row) => row.motif === motif).length);
  return Math.max(...counts) / training.rows.length;
}

/** The model's card as a list of terms. */
export function about(facts) {
  const { model, study, accuracy, sources_accuracy: sources, gate, sets, limits } = facts;
  const interval = ({ value, low, high }) => ({ value: percent(value), low: percent(low), high: percent(high) });
  const rows = [
    [say("about.model"), [say("about.model.text", {
      title: model.title, parameters: number(model.parameters), images: number(facts.training.rows.length),
      motifs: number(facts.motifs.length), study: study.title,
    }), facts.fit === "crop" && say("about.crop"), say("about.colours")]],
    [say("about.accuracy"), [
      accuracy ? say("about.accuracy.text", {
        ...interval(accuracy), images: number(accuracy.n), chance: percent(commonest(facts)),
      }) : say("about.unknown"),
      accuracy?.balanced && say("about.balanced.text", {
        balanced: percent(accuracy.balanced), even: percent(1 / facts.motifs.length),
      }),
      sources && say("about.sources.text", interval(sources)),
    ]],
    sets && [say("about.sets"), [say("about.sets.text", {
      size: number(sets.mean_size, 1), coverage: percent(sets.coverage, 0), measured: percent(sets.measured.value),
    })]],
    [say("about.gate"), [gate ? say("about.gate.text", {
      ordinary: percent(gate.ordinary_turned_away), count: number(gate.n_ordinary), own: percent(gate.own_turned_away),
    }) : say("about.gate.none")]],
    [say("about.limits"), limits[currentLanguage()]],
    [say("about.privacy"), [say("about.privacy.text")]],
    [say("about.licences"), [say("about.licences.text", { version: facts.runtime })]],
  ];
  return element("dl", {}, rows.filter(Boolean).map(([term, texts]) => [
    element("dt", { textContent: term }),
    ...texts.filter(Boolean).map((text) => element("dd", { textContent: text })),
  ]));
}
