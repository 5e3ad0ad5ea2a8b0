"""The classifier page: one HTML file with model, runtime and all, and its builder."""
