"""Restore the background of a chromosome that was cut out: transparent or uniformly painted pixels get its original grey.

A stained chromosome (G-bands) is lighter at its rim than inside, and lies on a light background. A fluorescent one (Q-bands) is
darker at its rim, and lies on a dark background. The rim next to the transparent pixels therefore shows which background it
was.

The background is filled with the lightest (or darkest) grey of the chromosome plus one step: the difference between the rim and
the next layer of pixels. Without that step a closely cut chromosome would lose its faint edge.
"""

from __future__ import annotations

import numpy as np

from gricol_zoo.errors import ImageError

GROUNDS = ("auto", "light", "dark")
OPAQUE = 0.5  # opacity from which a pixel belongs to the chromosome, or halfway between the lowest and the highest if higher
STEP = 4  # weight of the difference between the two outermost layers, relative to that between the rim and everything inside
PAINTED = 0.25  # least fraction of the border that has the painted grey
BREAK = 0.5  # of the crop's range: least difference between the painted grey and the rim of the chromosome


def find_opaque(alpha: np.ndarray) -> np.ndarray | None:
    """Return where a crop is opaque, (H, W) bool; None if it is equally opaque everywhere, so that nothing was cut out.

    Args:
        alpha: (H, W) float32 in 0..1, the opacity of each pixel.

    Raises:
        ImageError: nothing is opaque.
    """
    minimum, maximum = float(alpha.min()), float(alpha.max())
    if minimum == maximum > 0:
        return None
    if maximum < OPAQUE:
        raise ImageError("blank: every pixel is transparent")
    return alpha >= max(OPAQUE, (minimum + maximum) / 2)


def lay_on_ground(grey: np.ndarray, alpha: np.ndarray, opaque: np.ndarray, ground: str = "auto") -> tuple[np.ndarray, str]:
    """Lay a partly transparent crop on its background.

    Args:
        grey: (H, W) float32 in 0..1; fully transparent pixels may have any value.
        alpha: (H, W) float32 in 0..1, the opacity of each pixel.
        opaque: (H, W) bool, as ``find_opaque`` returns it.
        ground: the background, "light" or "dark"; "auto" determines it from the rim.

    Returns:
        (H, W) float32, and the background that was used, "light" or "dark".
    """
    edge, step, fall = rim_of(grey, opaque)
    if ground == "auto":
        ground = "light" if is_lighter_at_rim(edge, step, fall) else "dark"
    shown = grey[opaque]
    fill = shown.max() + max(step, 0.0) if ground == "light" else shown.min() + min(step, 0.0)
    fill = np.float32(min(max(fill, 0.0), 1.0))
    return np.where(alpha > 0, grey * alpha, 0) + fill * (1 - alpha), ground


def rim_of(grey: np.ndarray, opaque: np.ndarray) -> tuple[float, float, float]:
    """Measure the rim of the opaque pixels, (H, W) bool: those that touch other pixels.

    Returns:
        The mean grey of the rim, how much lighter it is than the next layer of pixels, and how much lighter than all pixels
        inside. If there are no further layers: the mean grey of the opaque pixels, and zeros.
    """
    inside = erode(opaque)
    rim, second = opaque & ~inside, inside & ~erode(inside)
    if not rim.any() or not second.any():
        return float(grey[opaque].mean()), 0.0, 0.0
    edge = float(grey[rim].mean())
    return edge, edge - float(grey[second].mean()), edge - float(grey[inside].mean())


def is_lighter_at_rim(edge: float, step: float, fall: float) -> bool:
    """Return whether the background is light, given the three values of ``rim_of``.

    If they show no difference, the background is assumed to be on the other side of middle grey.
    """
    lighter = fall + STEP * step
    return lighter > 0 if lighter else edge < 0.5


def erode(mask: np.ndarray) -> np.ndarray:
    """Return the pixels whose eight neighbours are in the mask, (H, W) bool; pixels beyond the image edge count as inside."""
    for axis in (0, 1):
        before, after = np.ones_like(mask), np.ones_like(mask)
        if axis == 0:
            before[1:], after[:-1] = mask[:-1], mask[1:]
        else:
            before[:, 1:], after[:, :-1] = mask[:, :-1], mask[:, 1:]
        mask = mask & before & after
    return mask


def painted_ground(grey: np.ndarray, ground: str) -> np.ndarray | None:
    """Return where a uniform painted background does not fit ``ground``, (H, W) bool; None if there is none.

    Args:
        grey: (H, W) float32.
        ground: the original background, "light" or "dark".
    """
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    values, counts = np.unique(border, return_counts=True)
    paint, count = values[counts.argmax()], counts.max()
    if count < PAINTED * len(border):
        return None
    where = from_border(grey == paint)
    touching = ~where & ~erode(~where)
    if not touching.any():
        return None
    # On a light background the rim is light. A dark painted background therefore ends in a step; an original one does not.
    step = float(np.median(grey[touching]) - paint) * (1 if ground == "light" else -1)
    return where if step >= BREAK * float(grey.max() - grey.min()) else None


def from_border(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask, (H, W) bool, that are connected to the border of the image (4-neighbours)."""
    reached = np.zeros_like(mask)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        reached[edge] = mask[edge]
    before = -1
    while (now := int(reached.sum())) != before:
        before = now
        for turn in range(4):
            _sweep(np.rot90(reached, turn), np.rot90(mask, turn))
    return reached


def _sweep(reached: np.ndarray, mask: np.ndarray) -> None:
    """Extend the reached pixels downwards through the mask, row by row, in place."""
    for row in range(1, len(mask)):
        reached[row] |= reached[row - 1] & mask[row]
