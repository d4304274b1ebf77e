"""Straightening by cutting at the bend (Javan-Roshtkhari and Setarehdan, 2008; Sharma et al., CVPR Workshops 2017).

A chromosome that fills its upright box is already straight. A bent one is rotated until its horizontal projection (mask pixels
per row) has two high, equal maxima (the arms) with a deep minimum between them (the bend). It is cut there, each arm is rotated
until it is narrowest, the two are stacked, and the wedge that opens between them is filled with the row means.

Our choices where the papers leave one open: the box is the one along the principal axis; of an arm's two upright positions we
take the one with its cut towards the joint; the arms are joined at the middles of their cuts.
"""

from __future__ import annotations

import numpy as np

from gricol_zoo.data.preprocess import measure_pose

WHITENESS = 170  # of 255: from this mean of the mask in its bounding box on, the chromosome counts as straight
STEP = 5  # degrees between the positions tried
WEIGHTS = (0.434, 0.566)  # w1, of the difference of the two maxima, and w2, of the minimum between them
WINDOW, ORDER = 9, 2  # of the Savitzky-Golay filter that smooths the projection
MIN_ARM = 0.15  # of the rows: two maxima that are nearer to each other than this belong to the same arm


def straighten_arms(value: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the straightened chromosome, (h, w) float; the upper end stays up.

    Args:
        value: (H, W) float, 0 outside the mask.
        mask: (H, W) bool.
    """
    pose = measure_pose(mask.astype(float))
    angle = 0.0 if pose is None else float(np.degrees(pose.angle))
    upright, upright_mask = turned(value, mask, -angle)
    if whiteness(upright_mask) >= WHITENESS:
        return _cropped(upright, upright_mask)
    angle, row = find_bend(mask)
    bent, bent_mask = turned(value, mask, angle)
    parts = [(bent[:row], bent_mask[:row]), (bent[row:], bent_mask[row:])]
    if min(part.sum() for _, part in parts) < 3:
        return _cropped(upright, upright_mask)
    upper, lower = (_upright_arm(part, part_mask, cut_below=index == 0) for index, (part, part_mask) in enumerate(parts))
    straight = _stack(upper, lower)
    # The rotation that shows the bend may have turned the crop over: the arm that was higher in the crop goes on top.
    ys = np.indices(mask.shape)[0].astype(float)
    heights, heights_mask = turned(ys * mask, mask, angle)
    means = [heights[rows][heights_mask[rows]].mean() for rows in (slice(None, row), slice(row, None))]
    return straight if means[0] <= means[1] else np.rot90(straight, 2).copy()


def whiteness(mask: np.ndarray) -> float:
    """Return the mean of a mask in its bounding box, 0..255."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return float(255 * mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean())


def find_bend(mask: np.ndarray) -> tuple[float, int]:
    """Return the rotation in degrees (counter-clockwise) and the row of the rotated (H, W) mask before which to cut."""
    best, found = np.inf, (0.0, mask.shape[0] // 2)
    for angle in range(0, 180, STEP):
        _, there = turned(mask.astype(float), mask, angle)
        score, row = bend_score(there.sum(1))
        if score < best:
            best, found = score, (float(angle), row)
    return found


def bend_score(projection: np.ndarray) -> tuple[float, int]:
    """Return the score w1 |P1 - P2| / (P1 + P2) + w2 P3 / (P1 + P2), which is lowest at the bend, and the row of P3.

    P1 and P2 are the two largest maxima of the smoothed projection, P3 is the smallest value between them. The score is
    infinite if there are fewer than two maxima.

    Args:
        projection: (rows,) mask pixels per row.
    """
    from scipy.signal import find_peaks, savgol_filter

    if len(projection) < WINDOW:
        return np.inf, len(projection) // 2
    smooth = np.maximum(savgol_filter(projection.astype(float), WINDOW, ORDER), 0)
    occupied = int(np.count_nonzero(projection))
    padded = np.concatenate([[0.0], smooth, [0.0]])  # so that a maximum at the border is found
    peaks = find_peaks(padded, distance=max(1, MIN_ARM * occupied))[0] - 1
    if len(peaks) < 2:
        return np.inf, len(projection) // 2
    first, second = sorted(peaks[np.argsort(-smooth[peaks], kind="stable")[:2]])
    row = int(first + smooth[first : second + 1].argmin())
    p1, p2, p3 = smooth[first], smooth[second], smooth[row]
    total = max(p1 + p2, 1e-9)
    return float(WEIGHTS[0] * abs(p1 - p2) / total + WEIGHTS[1] * p3 / total), row


def turned(value: np.ndarray, mask: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (H, W) value and mask rotated counter-clockwise by ``angle`` degrees, on a canvas large enough for both."""
    from scipy import ndimage

    if angle == 0:
        return value, mask
    share = ndimage.rotate(mask.astype(np.float64), angle, order=1)
    # Divide by the share of each pixel that is mask: else a cut edge, which is rotated twice, would become a dark line.
    return np.where(share > 0.5, ndimage.rotate(value, angle, order=1) / np.maximum(share, 0.5), 0.0), share > 0.5


def _upright_arm(value: np.ndarray, mask: np.ndarray, cut_below: bool) -> tuple[np.ndarray, float]:
    """Return an arm rotated to its narrowest position and cropped, and the column of the middle of its cut.

    Args:
        value: (H, W) float.
        mask: (H, W) bool, cut at its last row (``cut_below``) or at its first.
        cut_below: whether the cut is at the bottom, before and after the rotation; else it is at the top.
    """
    cut = np.zeros(mask.shape)
    cut[(-1 if cut_below else 0), mask[-1 if cut_below else 0]] = 1
    value, mask, cut = (np.pad(layer, 1) for layer in (value, mask, cut))
    best: tuple[int, float] | None = None
    for degrees in range(-90, 91, STEP):
        _, there = turned(value, mask, degrees)
        marked = np.nonzero(_place(cut, degrees) > 0.05)[0]
        # The cut must lie on the joint's side of the arm's middle.
        if len(marked) and (marked.mean() > np.nonzero(there)[0].mean()) != cut_below:
            continue
        narrow = int(there.any(0).sum())
        if best is None or narrow < best[0]:
            best = (narrow, float(degrees))
    angle = best[1] if best else 0.0
    arm, arm_mask = turned(value, mask, angle)
    spread = _place(cut, angle).sum(0)
    arm = _fill_wedge(arm, arm_mask, spread > 0.5, cut_below)
    middle = float((spread * np.arange(len(spread))).sum() / max(spread.sum(), 1e-9))
    rows, columns = np.nonzero(arm_mask.any(1))[0], np.nonzero(arm_mask.any(0))[0]
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return arm[box], middle - columns[0]


def _fill_wedge(arm: np.ndarray, mask: np.ndarray, under: np.ndarray, cut_below: bool) -> np.ndarray:
    """Return an arm with the wedge between its slanting cut and the joint filled with the row means.

    Args:
        arm: (H, W) float.
        mask: (H, W) bool.
        under: (W,) bool, the columns of the cut.
        cut_below: whether the joint is at the last row of the mask; else it is at the first.
    """
    rows = np.arange(len(mask))[:, None]
    occupied = np.nonzero(mask.any(1))[0]
    if cut_below:
        empty = (rows > np.where(mask, rows, -1).max(0)) & (rows <= occupied[-1])
    else:
        empty = (rows < np.where(mask, rows, len(mask)).min(0)) & (rows >= occupied[0])
    means = arm.sum(1) / np.maximum(mask.sum(1), 1)
    return np.where(empty & under & mask.any(0), means[:, None], arm)


def _place(layer: np.ndarray, angle: float) -> np.ndarray:
    from scipy import ndimage

    return layer if angle == 0 else np.asarray(ndimage.rotate(layer, angle, order=1))


def _stack(upper: tuple[np.ndarray, float], lower: tuple[np.ndarray, float]) -> np.ndarray:
    """Return two arms stacked, with the middles of their cuts in the same column."""
    middle = round(max(upper[1], lower[1]))
    width = max(middle - round(cut) + arm.shape[1] for arm, cut in (upper, lower))
    height = upper[0].shape[0] + lower[0].shape[0]
    value, top = np.zeros((height, width)), 0
    for arm, cut in (upper, lower):
        left = middle - round(cut)
        value[top : top + arm.shape[0], left : left + arm.shape[1]] = arm
        top += arm.shape[0]
    return value


def _cropped(value: np.ndarray, mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return value[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
