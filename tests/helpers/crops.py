"""Crops of one chromosome as from different cameras and files, and images that are hardly crops."""

from functools import cache

import numpy as np

from gricol_zoo import Preprocess
from gricol_zoo.data.synthetic import Look, load_profiles, render

HOW = Preprocess(orientation="upright", pad_to=None, contrast="p99", version=2)
"""Preparation 2, upright."""


@cache
def draw(name, seed=0, **look):
    """A chromosome of a class, white on black, a little bent and tilted."""
    return render(load_profiles()[name], Look(**{"tilt": 12, "bend": 15, "noise": 0.02, **look}), np.random.default_rng(seed))


def framed(grey, value):
    return np.pad(grey, 12, constant_values=value)


def with_slope(grey, rise):
    """The ground rises from a corner to the opposite one by a share of full scale."""
    down, across = (np.linspace(0, 1, side) for side in grey.shape)
    return grey * 0.8 + rise * (0.4 * down[:, None] + 0.6 * across)


def with_noise(grey):
    return grey + np.random.default_rng(1).normal(0, 5 / 255, grey.shape)


def with_specks(grey):
    grey, (height, width) = grey.copy(), grey.shape
    for top, left in ((2, 3), (height - 4, 1), (0, width // 2), (height // 2, width - 2)):
        grey[top : top + 2, left : left + 2] = 0.5
    return grey


def with_neighbour(grey):
    """A piece of another chromosome reaches in over the right edge."""
    grey = np.pad(grey, ((0, 0), (0, 12)))
    grey[10:18, -5:] = 0.9 * draw("9", tilt=0, bend=0)[14:22, 10:15]
    return grey


CAMERAS = {
    "as it is": lambda grey: grey,
    "ground at 45 %": lambda grey: 0.45 + 0.5 * grey,
    "low exposure": lambda grey: grey * 0.25 / grey.max(),
    "any gain": lambda grey: 400 * grey - 77,
    "margins": lambda grey: np.pad(grey, 30),
    "black frame": lambda grey: framed(0.3 + 0.5 * grey, 0),
    "grey frame": lambda grey: framed(0.1 + 0.5 * grey, 0.5),
    "white frame": lambda grey: framed(0.1 + 0.5 * grey, 1),
    "slope of 5 %": lambda grey: with_slope(grey, 0.05),
    "slope of 10 %": lambda grey: with_slope(grey, 0.10),
    "specks": with_specks,
    "neighbour": with_neighbour,
}


def rows_of(grey):
    rows = np.nonzero(grey.max(1) > 0.09)[0]
    return int(rows[0]), int(rows[-1]) + 1


def with_gap(grey, row, gap):
    return np.insert(grey, [row] * gap, 0, 0)


KINDS = {
    "noise": lambda shape: np.random.default_rng(0).random(shape),
    "one value": lambda shape: np.full(shape, 0.4),
    "one other pixel": lambda shape: np.pad([[0.9]], [((n - 1) // 2, n // 2) for n in shape], constant_values=0.4),
    "a ramp": lambda shape: np.linspace(0, 1, shape[0] * shape[1]).reshape(shape),
}
