"""How much of each page of a PDF is blank at its foot: python -m benchmarks.pages reports/*/report.pdf."""

import sys
from pathlib import Path

import numpy as np
import pypdfium2

TOP, FOOT = 2.7 / 29.7, 1 - 2.5 / 29.7
"""Where text begins and ends on the report's page, as shares of its height (report.typ)."""


def blank_feet(pdf: bytes) -> list[float]:
    """Of each page but the last, the share of the text's height that is blank under the last ink, 0 to 1."""
    document, feet = pypdfium2.PdfDocument(pdf), []
    for page in list(document)[:-1]:
        grey = page.render(scale=0.5, grayscale=True).to_numpy().squeeze()
        first, last = (round(len(grey) * edge) for edge in (TOP, FOOT))
        inked = np.flatnonzero((grey[first:last] < 200).any(axis=1))
        feet.append(1 - (inked[-1] + 1) / (last - first) if len(inked) else 1.0)
    document.close()
    return feet


def main() -> None:
    """Print mean and worst foot of each report."""
    for path in map(Path, sys.argv[1:]):
        feet = blank_feet(path.read_bytes())
        worst = int(np.argmax(feet))
        mean, most = f"{np.mean(feet):.1%} blank", f"{feet[worst]:.1%} on page {worst + 1}"
        print(f"{path.parent.name}: {len(feet) + 1} pages, {mean}, {most}")


if __name__ == "__main__":
    main()
