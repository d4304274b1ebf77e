"""The medial axis of a mask as one smooth line from end to end.

It follows the medial-axis methods for chromosomes (Poletti et al., CMPB 2012). Only the abstract was available, so the steps
are ours. The ends are the two pixels that are farthest from each other inside the mask. The line between them is the cheapest
path, where a pixel costs more the nearer it is to the outline. The line is then moved into the middle of its cross-sections. A
path has no branches, so nothing has to be pruned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gricol_zoo.errors import ImageError

STEP = 0.5  # pixels between the points while the axis is being computed
CENTRINGS = 3  # rounds of moving each point into the middle of its cross-section
SMOOTHING = 0.35  # of the chromosome's width: standard deviation, along the axis, of the Gaussian that smooths it
TRIM = 0.5  # of the width, cut off at each end before the axis is extended straight: the path runs into a corner there
TREND = 0.6  # of the width, before each end, that gives the direction of the extension
BLOCK = 32  # steps of a cross-section that are looked at together


def find_axis(mask: np.ndarray, points: int = 0) -> np.ndarray:
    """Find the axis of a mask: (n, 2) float as (x, y), pixel centres at whole numbers, evenly spaced, the upper end first.

    Args:
        mask: (H, W) bool, one piece.
        points: number of points; 0 takes one per pixel of length (at least 2).

    Raises:
        ImageError: the mask has fewer than 3 pixels.
    """
    path = _cheapest_path(mask)
    width = mask.sum() / max(len(path), 1)
    axis = _resample(path, STEP)
    for _ in range(CENTRINGS):
        axis = _smooth(axis, SMOOTHING * width / STEP)
        axis = _resample(_extend(_cut(axis, TRIM * width), mask, TREND * width), STEP)
        axis = _centre(axis, mask)
    axis = _resample(_extend(_cut(_smooth(axis, SMOOTHING * width / STEP), TRIM * width), mask, TREND * width), STEP)
    count = points or max(2, round(length_of(axis)) + 1)
    axis = _resample(axis, count=count)
    upside_down = (axis[0, 1], axis[0, 0]) > (axis[-1, 1], axis[-1, 0])
    return axis[::-1].copy() if upside_down else axis


def length_of(axis: np.ndarray) -> float:
    """Return the length in pixels of a line of (n, 2) points."""
    return float(np.hypot(*np.diff(axis, axis=0).T).sum())


def bend_of(axis: np.ndarray) -> float:
    """Return the angle in degrees, 0..180, between the first and the last third of a line of (n, 2) points; 0 is straight."""
    third = max(1, len(axis) // 3)
    first, last = axis[third] - axis[0], axis[-1] - axis[-1 - third]
    cosine = first @ last / max(float(np.hypot(*first) * np.hypot(*last)), 1e-12)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def directions(axis: np.ndarray) -> np.ndarray:
    """Return the unit directions along a line of (n, 2) points, (n, 2)."""
    steps = np.gradient(axis, axis=0)
    return steps / np.maximum(np.hypot(*steps.T), 1e-9)[:, None]


def _cheapest_path(mask: np.ndarray) -> np.ndarray:
    """Return the path through the mask between its two ends, (n, 2) float as (x, y)."""
    from scipy import ndimage
    from scipy.sparse.csgraph import dijkstra

    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][mask]
    ys, xs = np.nonzero(mask)
    if len(ys) < 3:
        raise ImageError(f"a mask of {len(ys)} pixels has no axis")
    plain = _graph(mask, np.ones(len(ys)))
    # Twice to the farthest pixel: this finds the two ends of the longest path inside the mask, even of a horseshoe.
    start = int(np.hypot(ys - ys.mean(), xs - xs.mean()).argmax())
    for _ in range(2):
        reach = dijkstra(plain, directed=False, indices=start)
        start, other = int(np.where(np.isfinite(reach), reach, -1).argmax()), start
    cost = (depth.max() / depth) ** 2
    _, before = dijkstra(_graph(mask, cost), directed=False, indices=start, return_predecessors=True)
    path = [other]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return np.stack([xs[path], ys[path]], 1).astype(float)


def _graph(mask: np.ndarray, cost: np.ndarray) -> Any:
    """Return the 8-neighbour graph of the mask's pixels as a sparse matrix; an edge costs its length times the mean cost.

    Args:
        mask: (H, W) bool.
        cost: (number of mask pixels,) float.
    """
    from scipy.sparse import coo_array

    number = np.full(np.array(mask.shape) + 2, -1)
    number[1:-1, 1:-1][mask] = np.arange(len(cost))
    height, width = mask.shape
    here = number[1:-1, 1:-1]
    rows, columns, weights = [], [], []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        there = number[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        joined = (here >= 0) & (there >= 0)
        a, b = here[joined], there[joined]
        rows.append(a)
        columns.append(b)
        weights.append(np.hypot(dy, dx) * (cost[a] + cost[b]) / 2)
    shape = (len(cost), len(cost))
    return coo_array((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape).tocsr()


def _resample(line: np.ndarray, step: float = 0.0, count: int = 0) -> np.ndarray:
    """Return a line with evenly spaced points: ``count`` of them, or about one every ``step`` pixels."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    count = count or max(2, round(along[-1] / step) + 1)
    places = np.linspace(0, along[-1], count)
    return np.stack([np.interp(places, along, line[:, 0]), np.interp(places, along, line[:, 1])], 1)


def _smooth(line: np.ndarray, sigma: float) -> np.ndarray:
    """Return a line smoothed with a Gaussian of ``sigma`` points; the ends stay, because the line is reflected through them."""
    from scipy import ndimage

    reach = min(len(line) - 1, int(np.ceil(4 * sigma)))
    if reach < 1:
        return line
    before, after = 2 * line[0] - line[reach:0:-1], 2 * line[-1] - line[-2 : -2 - reach : -1]
    smooth = ndimage.gaussian_filter1d(np.concatenate([before, line, after]), sigma, axis=0)
    return np.asarray(smooth[reach : reach + len(line)])


def _cut(line: np.ndarray, length: float) -> np.ndarray:
    """Return an evenly spaced line without ``length`` pixels at each end, but at least its middle half."""
    step = length_of(line) / (len(line) - 1)
    count = min(round(length / step), len(line) // 4)
    return line[count : len(line) - count]


def _extend(line: np.ndarray, mask: np.ndarray, trend: float) -> np.ndarray:
    """Return a line extended straight at both ends until it leaves the mask; ``trend`` pixels give the direction."""
    step = max(length_of(line) / (len(line) - 1), 1e-6)
    back = min(max(1, round(trend / step)), len(line) - 1)
    ends = []
    for end, inner in ((line[0], line[back]), (line[-1], line[-1 - back])):
        direction = (end - inner) / max(float(np.hypot(*(end - inner))), 1e-9)
        places = end + direction * np.arange(0, sum(mask.shape), 0.25)[:, None]
        inside = inside_of(mask, places)
        last = len(places) - 1 if inside.all() else max(0, int(np.argmin(inside)) - 1)
        ends.append(places[last])
    return np.concatenate([ends[0][None], line, ends[1][None]])


def _centre(line: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a line with each point moved to the middle of its cross-section."""
    along = directions(line)
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    left, right = cross_sections(line, normal, mask)
    return line + normal * ((right - left) / 2)[:, None]


def cross_sections(line: np.ndarray, normal: np.ndarray, mask: np.ndarray, step: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the mask reaches from each point of a line, against and along the normal: two (n,) arrays, in pixels.

    Args:
        line: (n, 2) as (x, y).
        normal: (n, 2) unit vectors.
        mask: (H, W) bool.
        step: pixels between the places that are looked at.
    """
    reach = np.arange(0, max(mask.shape), step)
    return _steps_inside(line, -normal, mask, reach) * step, _steps_inside(line, normal, mask, reach) * step


def _steps_inside(line: np.ndarray, direction: np.ndarray, mask: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return after how many steps each point of a line leaves the mask, (n,) float: half a step before the first one outside.

    A few steps lead out of most chromosomes, so only points that are still inside are followed further.

    Args:
        line: (n, 2) points as (x, y).
        direction: (n, 2) unit vectors.
        mask: (H, W) bool.
        reach: (m,) distances of the steps, in pixels.
    """
    found, inside = np.full(len(line), len(reach) - 1), np.arange(len(line))
    for start in range(0, len(reach) - 1, BLOCK):
        places = line[inside, None] + direction[inside, None] * reach[start : min(start + BLOCK, len(reach) - 1), None]
        outside = ~inside_of(mask, places)
        left = outside.any(1)
        found[inside[left]] = start + outside[left].argmax(1)
        inside = inside[~left]
        if not len(inside):
            break
    return np.maximum(found - 0.5, 0)


def inside_of(mask: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return for each place, (..., 2) as (x, y), whether its pixel is in the mask: (...,) bool."""
    height, width = mask.shape
    framed = np.zeros((height + 2, width + 2), bool)  # places outside the image fall on the frame
    framed[1:-1, 1:-1] = mask
    place = np.floor(places + 1.5).astype(np.intp)
    np.clip(place, 0, (width + 1, height + 1), out=place)
    return framed[place[..., 1], place[..., 0]]
