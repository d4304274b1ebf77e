"""What the bend benchmark shows the models: synthetic chromosomes, real ones bent by an arc, and real ones as they lie."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

import gricol_zoo
from gricol_zoo.classical.axis import bend_of, find_axis
from gricol_zoo.classical.bend import bend_each
from gricol_zoo.classical.mask import find_mask
from gricol_zoo.data.images import read_grey
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.synthetic import Look, Profile, load_profiles, random_look, render
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.files import write_atomically
from gricol_zoo.spec import CHROMOSOMES, ModelSpec

ANGLES = tuple(range(0, 181, 30))  # degrees from end to end
CELLS, SEED, NOISE = 12, 0, 0.02  # of the synthetic part
STRAIGHT = 15.0  # degrees of measured bend below which a real chromosome is bent by an arc
SHARES = (0.5, 0.75, 0.9, 0.95)  # of the train part's measured bends: where the bins of the real part end
UNMEASURED = "not measured"
PACKAGE = Path(gricol_zoo.__file__).parent
# What decides a measured bend, and what decides how a picture looks: what was kept from other sources is not used.
MEASURES = tuple(PACKAGE / name for name in ("classical/axis.py", "classical/mask.py", "data/preprocess.py", "data/images.py"))
SOURCES = (Path(__file__), PACKAGE / "data" / "synthetic.py", PACKAGE / "classical" / "bend.py", *MEASURES)


@dataclass(frozen=True)
class Pictures:
    """One part of the benchmark: m pictures of n chromosomes.

    Attributes:
        part: synthetic, warped or real.
        levels: how bent, the straightest first; ``UNMEASURED``, if there, last.
        chromosomes: (n,) with path, label, cell and case.
        who: (m,) which chromosome each picture shows.
        level: (m,) how bent it is.
        draw: yields the m grey pictures in order.
    """

    part: str
    levels: tuple[str, ...]
    chromosomes: Sequence[Record]
    who: np.ndarray
    level: np.ndarray
    draw: Callable[[], Iterator[np.ndarray]]

    def canvases(self, spec: ModelSpec) -> np.ndarray:
        """Return them as a model takes them, (m, height, width) uint8, by the preprocessing of users' images."""
        out = np.empty((len(self.who), *spec.image_size), np.uint8)
        for index, grey in enumerate(self.draw()):
            out[index] = to_canvas(grey, spec.preprocess, spec.image_size)
        return out

    def fingerprint(self) -> str:
        """Return a hash of which pictures these are, and of the code that draws them."""
        known = [self.part, self.levels, [(r.path, r.label, r.cell, r.case) for r in self.chromosomes]]
        digest = hashlib.sha256(json.dumps([*known, self.who.tolist(), self.level.tolist()]).encode())
        for file in SOURCES:
            digest.update(file.read_bytes())
        return digest.hexdigest()


def synthetic() -> Pictures:
    """Return synthetic cells of 46 chromosomes, each chromosome at each angle with one look, one side and one seed of noise."""
    chromosomes: list[Record] = []
    looks: list[tuple[Profile, Look, int]] = []
    for cell in range(CELLS):
        rng = np.random.default_rng([SEED, cell])
        condensation = rng.uniform(0.92, 1.08)  # of the whole cell, as in render_cell
        last = ("X", "X") if cell % 2 else ("X", "Y")
        for name in [*np.repeat(CHROMOSOMES[:22], 2).tolist(), *last]:
            profile = load_profiles()[name]
            scaled = Profile(profile.bands, profile.widths, profile.length * condensation)
            looks.append((scaled, random_look(rng, bend=0, noise=NOISE, tilt=0), 1 if rng.random() < 0.5 else -1))
            chromosomes.append(Record(f"{cell}/{len(chromosomes)}", name, f"synthetic {cell}"))

    def draw() -> Iterator[np.ndarray]:
        for index, (profile, look, side) in enumerate(looks):
            for angle in ANGLES:
                grain = np.random.default_rng([SEED, CELLS, index])
                yield render(profile, dataclasses.replace(look, bend=float(side * angle)), grain)

    who = np.repeat(np.arange(len(chromosomes)), len(ANGLES))
    return Pictures("synthetic", _names(), chromosomes, who, np.tile(np.arange(len(ANGLES)), len(chromosomes)), draw)


def warped(images: ImageSet, bends: Mapping[str, float | None]) -> Pictures:
    """Return the nearly straight images of a set, each bent by each angle to both sides.

    Raises:
        GricolZooError: none is nearly straight.
    """
    chosen = [record for record in images.records if (found := bends[record.path]) is not None and found < STRAIGHT]
    if not chosen:
        raise GricolZooError(f"Expected images of {images.name} with a bend below {STRAIGHT:g} degrees, but there are none.")
    turns = [(level, side * angle) for level, angle in enumerate(ANGLES) for side in ((1, -1) if angle else (1,))]

    def draw() -> Iterator[np.ndarray]:
        for record in chosen:
            yield from bend_each(grey_of(images, record), [angle for _, angle in turns])

    who = np.repeat(np.arange(len(chosen)), len(turns))
    return Pictures("warped", _names(), chosen, who, np.tile([level for level, _ in turns], len(chosen)), draw)


def real(images: ImageSet, bends: Mapping[str, float | None], edges: Sequence[float]) -> Pictures:
    """Return the images of a set as they are, binned by their measured bend; what cannot be measured has a bin of its own."""
    names = [*(f"{low:g}-{high:g}" for low, high in pairwise([0, *edges])), f"{edges[-1]:g}+", UNMEASURED]

    def draw() -> Iterator[np.ndarray]:
        for record in images.records:
            yield grey_of(images, record)

    found = [bends[record.path] for record in images.records]
    return Pictures("real", tuple(names), images.records, np.arange(len(found)), bin_of(found, edges), draw)


def bin_of(bends: Sequence[float | None], edges: Sequence[float]) -> np.ndarray:
    """Return each bend's bin, (n,): 0 below the first edge, len(edges) from the last one on, len(edges) + 1 for None."""
    return np.array([len(edges) + 1 if value is None else int(np.searchsorted(edges, value, side="right")) for value in bends])


def edges_of(bends: Mapping[str, float | None]) -> list[float]:
    """Return where the bins end, in whole degrees, from the measured bends of the train part."""
    measured = [value for value in bends.values() if value is not None]
    return sorted({float(round(value)) for value in np.quantile(measured, SHARES)})


def measure(images: ImageSet, folder: Path) -> dict[str, float | None]:
    """Return the bend of each image's medial axis, in degrees by path, None where there is none; kept in ``folder``."""
    code = b"".join(file.read_bytes() for file in MEASURES)
    file = folder / f"bends.{hashlib.sha256(images.sha256().encode() + code).hexdigest()[:12]}.json"
    if file.exists():
        kept: dict[str, float | None] = json.loads(file.read_text())
        return kept
    bends: dict[str, float | None] = {}
    for record in images.records:
        grey = grey_of(images, record)
        try:
            bends[record.path] = bend_of(find_axis(find_mask(grey)[1]))
        except ImageError:
            bends[record.path] = None
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(bends).encode())
    return bends


def grey_of(images: ImageSet, record: Record) -> np.ndarray:
    """Read one image of a set.

    Raises:
        GricolZooError: it cannot be read; it is named.
    """
    try:
        return read_grey(images.read(record))
    except (ImageError, OSError) as error:
        raise GricolZooError(f"{record.path} of {images.name}: {error}. Fix it or remove it from the manifest.") from error


def _names() -> tuple[str, ...]:
    return tuple(str(angle) for angle in ANGLES)
