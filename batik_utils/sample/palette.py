"""Dyes: the palettes of court and coast, shared by all motifs so that colour alone tells little.

The names are traditions, the values are this project's own choice by eye.
"""

from dataclasses import dataclass

import numpy as np

from .pen import mix

# darkest, lightest, then three dyes.
_DYES = {
    "sogan": ("#2b1a12", "#efe0bd", "#8a5426", "#c38b48", "#1f2c46"),
    "sogan-indigo": ("#16203a", "#f1e6cc", "#7a4a22", "#2f4672", "#b98a52"),
    "wonogiri": ("#3a2413", "#e7cf9f", "#a8692c", "#6d3f1d", "#d9a860"),
    "indigo": ("#101d3d", "#eef0ea", "#28488a", "#5d86bd", "#9cb9d6"),
    "lasem": ("#3d0f14", "#f3e3c8", "#a61c28", "#d1573f", "#26457a"),
    "pekalongan": ("#23304f", "#f7ecd8", "#d2566d", "#3f9a8c", "#e8a33d"),
    "pesisiran": ("#1c3b36", "#f5ead0", "#2f8f6b", "#c93c3a", "#e6b84a"),
    "madura": ("#1d1512", "#efd9a2", "#b3231d", "#376b34", "#d98e22"),
    "cirebon": ("#14233f", "#f2f0e6", "#c0272f", "#2e6fb0", "#8fc1dd"),
    "garut": ("#33305c", "#f6e7c9", "#7a5aa6", "#d9a766", "#4b86a8"),
    "betawi": ("#4a1440", "#fbe9d3", "#c93f7e", "#f08a3c", "#2a9a9c"),
    "bali": ("#171717", "#f4efe2", "#6d6d6a", "#b23a2a", "#c9a24b"),
    "leaf": ("#1d2b17", "#eceacb", "#4f7a33", "#9aa84a", "#7b4a2a"),
    "terracotta": ("#3b1b14", "#f4dcc2", "#b4532f", "#de9560", "#4d6a6a"),
}


@dataclass(frozen=True)
class Palette:
    """Six roles, each an RGB float array [3] (0..255)."""

    ground: np.ndarray  # the cloth
    main: np.ndarray  # what the motif is made of
    second: np.ndarray  # its fillings
    accent: np.ndarray
    line: np.ndarray  # its contours
    deep: np.ndarray  # a dye near the ground, for what lies behind


def draw_palette(rng: np.random.Generator, home: tuple[str, ...], share: float) -> Palette:
    """One palette: a tradition (with probability `share` one of `home`), dyes shifted a little, and a ground."""
    names = sorted(home) if rng.random() < share else sorted(_DYES)
    dark, light, *dyes = (np.array([*bytes.fromhex(c[1:])], float) for c in _DYES[names[rng.integers(len(names))]])
    first, second, third = (dyes[k] for k in rng.permutation(3))
    cast = rng.uniform(-16, 16, 3)
    way = rng.random()
    if way < 0.8:  # dark cloth, light motif
        ground, main, line, deep = dark, light, mix(dark, first, 0.15), mix(dark, first, 0.45)
    elif way < 0.86:  # light cloth, dyed motif
        ground, main, line, deep = light, first, dark, mix(light, third, 0.35)
    elif way < 0.97:  # dyed cloth, light motif
        ground, main, line, deep = first, light, dark, mix(first, dark, 0.45)
    else:  # tone on tone
        ground, main, line, deep = (mix(first, light, 0.35), mix(first, light, 0.8), first, mix(first, light, 0.5))
    fill, accent = (second, third) if rng.random() < 0.7 else (mix(second, light, 0.4), second)
    return Palette(*(np.clip(c + cast, 6, 250) for c in (ground, main, fill, accent, line, deep)))
