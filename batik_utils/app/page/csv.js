// All answers as a table for other programs; the same columns as `batik predict --csv`.

/** A spreadsheet must not take a file's name for a formula. */
const harmless = (name) => name.replace(/^(?=[=+\-@\t\r])/, "'");

const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** The answers as CSV; `reason` says in words why a picture was refused. */
export function csv(items, facts, reason) {
  const gate = facts.gate ? ["looks_like_batik", "distance"] : [];
  const head = ["file", "answer", ...gate, "one_of", "error", ...facts.motifs];
  const rows = items.map(({ name, answer, refusal }) => {
    if (refusal) return [harmless(name), "", ...gate.map(() => ""), "", reason(refusal), ...facts.motifs.map(() => "")];
    const names = answer.among.map((motif) => facts.motifs[motif]);
    const looks = facts.gate ? [answer.batik ? "yes" : "no", answer.distance.toFixed(6)] : [];
    return [harmless(name), facts.motifs[answer.ranked[0]], ...looks, names.join("|"), "",
      ...Array.from(answer.probabilities, (p) => p.toFixed(6))];
  });
  return [head, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** Offers a text as a file, without a server. */
export function offer(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
