"""The background of a crop that was cut out: what is transparent, or painted in one grey, becomes what the background was.

A stained chromosome (G-bands) is lighter at its rim than inside, and lies on a light background. A fluorescent one (Q-bands) is
darker at its rim, and lies on a dark background. So the rim next to what is transparent tells which background it was.

The background is filled with the lightest (or darkest) grey of the chromosome, and one step beyond: as much as the rim differs
from the layer of pixels within. Without that step a chromosome that was cut out closely would lose its faint edge.
"""

from __future__ import annotations

import numpy as np

from gricol_zoo.errors import ImageError

GROUNDS = ("auto", "light", "dark")
OPAQUE = 0.5  # from here on a pixel is the chromosome's; where all are, from halfway between the least and the most
STEP = 4  # how much the difference of the two outermost layers counts, beside that of the rim and all within
PAINTED = 0.25  # of the border at least is of the painted grey
BREAK = 0.5  # of the crop's range lies at least between it and the rim of the chromosome


def find_opaque(alpha: np.ndarray) -> np.ndarray | None:
    """Return where a crop is opaque, (H, W) bool; None where it is equally opaque all over, so that nothing is cut out.

    Args:
        alpha: (H, W) float32 in 0..1, how opaque each pixel is.

    Raises:
        ImageError: nothing is opaque.
    """
    least, most = float(alpha.min()), float(alpha.max())
    if least == most > 0:
        return None
    if most < OPAQUE:
        raise ImageError("blank: every pixel is transparent")
    return alpha >= max(OPAQUE, (least + most) / 2)


def lay_on_ground(grey: np.ndarray, alpha: np.ndarray, opaque: np.ndarray, ground: str = "auto") -> tuple[np.ndarray, str]:
    """Lay a partly transparent crop on its background.

    Args:
        grey: (H, W) float32 in 0..1; what it is below the transparency does not matter.
        alpha: (H, W) float32 in 0..1, how opaque each pixel is.
        opaque: as ``find_opaque`` gives it.
        ground: which background it was, "light" or "dark"; "auto" finds out.

    Returns:
        (H, W) float32, and which background was taken, "light" or "dark".
    """
    edge, step, fall = rim_of(grey, opaque)
    if ground == "auto":
        ground = "light" if is_lighter_at_rim(edge, step, fall) else "dark"
    shown = grey[opaque]
    fill = shown.max() + max(step, 0.0) if ground == "light" else shown.min() + min(step, 0.0)
    fill = np.float32(min(max(fill, 0.0), 1.0))
    return np.where(alpha > 0, grey * alpha, 0) + fill * (1 - alpha), ground


def rim_of(grey: np.ndarray, opaque: np.ndarray) -> tuple[float, float, float]:
    """Measure the rim of what is opaque, (H, W) bool: the pixels that touch what is not.

    Returns:
        Its mean grey, and by how much it is lighter than the next layer of pixels, and than all further inside. Where there is
        nothing further inside, the mean of what is opaque, and zeros.
    """
    inside = erode(opaque)
    rim, second = opaque & ~inside, inside & ~erode(inside)
    if not rim.any() or not second.any():
        return float(grey[opaque].mean()), 0.0, 0.0
    edge = float(grey[rim].mean())
    return edge, edge - float(grey[second].mean()), edge - float(grey[inside].mean())


def is_lighter_at_rim(edge: float, step: float, fall: float) -> bool:
    """Say whether what ``rim_of`` measured lies on a light background.

    Where it measured no difference, the background is taken to be on the other side of middle grey.
    """
    lighter = fall + STEP * step
    return lighter > 0 if lighter else edge < 0.5


def erode(mask: np.ndarray) -> np.ndarray:
    """Return the pixels whose eight neighbours are in the mask, (H, W) bool; beyond the edge of the image all are."""
    for axis in (0, 1):
        before, after = np.ones_like(mask), np.ones_like(mask)
        if axis == 0:
            before[1:], after[:-1] = mask[:-1], mask[1:]
        else:
            before[:, 1:], after[:, :-1] = mask[:, :-1], mask[:, 1:]
        mask = mask & before & after
    return mask


def painted_ground(grey: np.ndarray, ground: str) -> np.ndarray | None:
    """Return where paint of one grey lies on the wrong side of the chromosome, (H, W) bool; None where there is none.

    Args:
        grey: (H, W) float32.
        ground: which background it was, "light" or "dark".
    """
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    values, counts = np.unique(border, return_counts=True)
    paint, most = values[counts.argmax()], counts.max()
    if most < PAINTED * len(border):
        return None
    where = from_border(grey == paint)
    touching = ~where & ~erode(~where)
    if not touching.any():
        return None
    # On a light background the rim is light. So paint on the wrong side ends in a step, a true background does not.
    step = float(np.median(grey[touching]) - paint) * (1 if ground == "light" else -1)
    return where if step >= BREAK * float(grey.max() - grey.min()) else None


def from_border(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask, (H, W) bool, that are joined to the border of the image by their sides."""
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
    """Carry what is reached down through the mask, row by row, in place."""
    for row in range(1, len(mask)):
        reached[row] |= reached[row - 1] & mask[row]
