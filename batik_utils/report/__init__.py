"""From results to a report: notebooks, verdicts, tables, two editions; here what notebooks and pages agree upon."""

from pathlib import Path

TEMPLATES = Path(__file__).with_name("templates")
MIME = "application/vnd.batik+json"  # the part of a notebook's output that says what the output is
RASTER_DPI = 160
# The studies that the paper tells of; what it tells for all of them their own reports do not repeat.
PAPER_STUDIES = ("bali-betawi-celup", "sidoluhur-tambal-betawi", "twenty-motifs")
