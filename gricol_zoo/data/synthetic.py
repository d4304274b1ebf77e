"""Draw synthetic chromosomes from band and width profiles, with bending, blur, noise and other parameters.

The profiles are class means measured on real images (``gricol_zoo/assets/profiles.json``, made by
``benchmarks/make/measure_profiles.py`` from the train part only); no image is stored. Used by the demo, the tests and the bend
benchmark.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import read_json
from gricol_zoo.spec import CHROMOSOMES

PROFILES = Path(__file__).parent.parent / "assets" / "profiles.json"


@dataclass(frozen=True)
class Profile:
    """One class of chromosome, short arm first.

    Attributes:
        bands: (n,) brightness along the axis, background 0, brightest about 1.
        widths: (n,) full width across the axis, in pixels.
        length: pixels along the axis.
    """

    bands: np.ndarray
    widths: np.ndarray
    length: float


@dataclass(frozen=True)
class Look:
    """How a chromosome is drawn.

    Attributes:
        bend: total turn of the axis from end to end, in degrees; 0 is straight.
        tilt: degrees from the vertical.
        scale: factor of length and width.
        blur: standard deviation of a Gaussian, in pixels.
        noise: standard deviation of grey noise on the chromosome, of full scale.
        gain: brightness of its brightest bands, of full scale.
        cleft: depth of the gap between the two chromatids, 0 (none) to 1.
        margin: background pixels around it.
    """

    bend: float = 0.0
    tilt: float = 0.0
    scale: float = 1.0
    blur: float = 0.8
    noise: float = 0.0
    gain: float = 0.6
    cleft: float = 0.2
    margin: int = 8


@cache
def load_profiles(file: Path = PROFILES) -> dict[str, Profile]:
    """Read the class profiles: chromosome name -> Profile; the result is cached."""
    table = read_json(file, "the table of profiles")["classes"]
    return {name: Profile(np.array(row["bands"]), np.array(row["widths"]), float(row["length"])) for name, row in table.items()}


def render(profile: Profile, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Draw one chromosome, white on black: (H, W) float32 in 0..1.

    The axis is an arc of ``look.bend`` degrees. Each pixel takes the band at its nearest point of the axis and fades with the
    distance from the axis, so that sides and ends are rounded.

    Raises:
        GricolZooError: the bend is beyond 300 degrees (the ends would meet), or the scale is not positive.
    """
    if not abs(look.bend) <= 300 or not look.scale > 0:
        raise GricolZooError(f"Expected |bend| <= 300 degrees and scale > 0, but got {look.bend} and {look.scale}.")
    length = profile.length * look.scale
    axis = _axis(length, np.radians(look.bend), np.radians(look.tilt))
    reach = profile.widths.max() * look.scale / 2 + look.margin
    axis = axis - axis.min(0) + reach
    width, height = (int(np.ceil(side)) for side in axis.max(0) + reach)
    ys, xs = np.mgrid[:height, :width] + 0.5
    pixels = np.stack([xs.ravel(), ys.ravel()], 1)
    squared = (pixels**2).sum(1)[:, None] - 2 * pixels @ axis.T + (axis**2).sum(1)[None]
    nearest = squared.argmin(1)
    distance = np.sqrt(np.maximum(squared[np.arange(len(pixels)), nearest], 0))
    position = nearest / (len(axis) - 1) * (len(profile.bands) - 1)
    bands = np.interp(position, np.arange(len(profile.bands)), profile.bands)
    half = np.interp(position, np.arange(len(profile.widths)), profile.widths) * look.scale / 2
    across = np.clip(1 - (distance / np.maximum(half, 1e-6)) ** 4, 0, 1)
    across *= 1 - look.cleft * np.exp(-((distance / np.maximum(0.3 * half, 1e-6)) ** 2))
    image = (bands * across).reshape(height, width)
    image = blur(image, look.blur)
    image = image * look.gain
    if look.noise:
        grain = blur(rng.normal(0, look.noise * 1.8, image.shape), 0.6)
        image = image + grain * (image > 0.05 * look.gain)
    return np.clip(image, 0, 1).astype(np.float32)


def _axis(length: float, bend: float, tilt: float) -> np.ndarray:
    """Return points along an arc from top to bottom, (n, 2) as (x, y), a quarter of a pixel apart; angles in radians."""
    count = max(16, int(length * 4))
    direction = np.linspace(-bend / 2, bend / 2, count) + tilt
    steps = np.stack([np.sin(direction), np.cos(direction)], 1) * length / count
    return np.cumsum(steps, 0)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur (H, W) with a Gaussian of ``sigma`` pixels; the outside counts as 0."""
    if sigma <= 0:
        return image
    radius = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(image, radius)
    rows = sum(weight * padded[i : i + image.shape[0]] for i, weight in enumerate(kernel))
    return np.asarray(sum(weight * rows[:, i : i + image.shape[1]] for i, weight in enumerate(kernel)))


def random_look(rng: np.random.Generator, bend: float = 40.0, noise: float = 0.02, tilt: float = 20.0) -> Look:
    """Draw a random look: bend and tilt uniform in plus or minus the given degrees; the rest varies as between cells."""
    return Look(
        bend=float(rng.uniform(-bend, bend)),
        tilt=float(rng.uniform(-tilt, tilt)),
        scale=float(rng.uniform(0.96, 1.04)),
        blur=float(rng.uniform(0.6, 1.0)),
        noise=noise,
        gain=float(rng.uniform(0.4, 0.8)),
        cleft=float(rng.uniform(0.0, 0.4)),
    )


def render_cell(
    seed: int, sex: str = "", bend: float = 40.0, noise: float = 0.02, tilt: float = 20.0
) -> list[tuple[str, str, np.ndarray]]:
    """Draw the 46 chromosomes of a normal cell: (class, copy "a" or "b", image) each.

    Args:
        seed: of all random numbers.
        sex: "F", "M", or "" to draw it.
        bend: largest bend from end to end, in degrees to either side.
        noise: standard deviation of grey noise, as a fraction of full scale.
        tilt: largest angle from the vertical, in degrees to either side.

    Raises:
        GricolZooError: ``sex`` has another value, or the bend is out of range.
    """
    rng = np.random.default_rng(seed)
    sex = sex or ("F" if rng.random() < 0.5 else "M")
    if sex not in ("F", "M"):
        raise GricolZooError(f"Expected `sex` to be F, M or empty, but got {sex!r}.")
    profiles = load_profiles()
    autosomes = [(name, copy) for name in CHROMOSOMES[:22] for copy in "ab"]
    sexes = [("X", "a"), ("X", "b")] if sex == "F" else [("X", "a"), ("Y", "a")]
    # One condensation for the whole cell: its chromosomes are all longer or all shorter than average.
    condensation = rng.uniform(0.92, 1.08)
    cell = []
    for name, copy in autosomes + sexes:
        look = random_look(rng, bend, noise, tilt)
        profile = profiles[name]
        scaled = Profile(profile.bands, profile.widths, profile.length * condensation)
        cell.append((name, copy, render(scaled, look, rng)))
    return cell
