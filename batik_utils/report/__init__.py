"""From results to a report: notebooks, verdicts, tables, two editions; here what notebooks and pages agree upon."""

MIME = "application/vnd.batik+json"
"""The part of a notebook's output that says what the output is; viewers that do not know it ignore it."""
RASTER_DPI = 160
PAPER_STUDIES = ("bali-betawi-celup", "sidoluhur-tambal-betawi", "twenty-motifs")
"""The studies that the paper tells of; what it tells for all of them their own reports do not repeat."""
