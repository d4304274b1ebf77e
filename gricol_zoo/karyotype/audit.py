"""Verify a karyotype.json: run the same images through the same weights again, and compare the results."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel
from gricol_zoo.files import read_json
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.inference.precision import DTYPES
from gricol_zoo.inference.preparation import prepare_as
from gricol_zoo.karyotype.assign import Costs
from gricol_zoo.karyotype.checked import CHECKED, broken_seals
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.draft import NOTE
from gricol_zoo.karyotype.rerun import MARGIN, TORCH, Terms, how_to_rerun, terms_of
from gricol_zoo.karyotype.run import karyotype
from gricol_zoo.karyotype.unprotected import NUMBERS
from gricol_zoo.karyotype.versions import versions
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.runtimes.engines import ENGINES
from gricol_zoo.runtimes.load import classifier_on

NOT_AGAIN = ("scale taken as", "fits these images better")
"""Warnings about what a rerun does not check."""
OF_NUMBERS = ("of the chromosomes are doubtful",)
"""Warnings of a cell that follow from probabilities."""


def differences(
    record: Karyotype,
    model: GridModel | DeployedModel | Classifier,
    images: ImageSet,
    moved: bool = False,
    renamed: bool = False,
) -> list[str]:
    """Return the differences between a karyotype and its rerun, one line each; empty if there are none.

    It compares the weights and the images by their hashes, and the recorded edits with the current classes. If the inputs are
    the same, it also compares the results of the model and the assignment with all recorded options. If the record's runtime or
    dtype is not available here, the run is in fp32 on torch, and numbers are not compared (``gricol_zoo.karyotype.rerun``).
    The model is not changed.

    Args:
        record: read from karyotype.json.
        model: model with the weights that should be those of the record.
        images: images of the cell.
        moved: whether they are not where they were.
        renamed: whether the model has another name.

    Raises:
        GricolZooError: the record lacks an option that the run needs, or has an impossible one.
    """
    if isinstance(model, Classifier):
        return _differences(record, model, images, terms_of(record, model, moved, renamed))
    spec = model.spec
    try:
        prepare_as(model, record.options.get("preparation", 0), record.options.get("ground", ""))
        rerun = how_to_rerun(record)
        classifier = classifier_on(model, rerun.dtype, rerun.runtime)
        return _differences(record, classifier, images, terms_of(record, classifier, moved, renamed))
    finally:
        model.spec = spec


def _differences(record: Karyotype, classifier: Classifier, images: ImageSet, terms: Terms) -> list[str]:
    found = [*_inputs(record, classifier, images), *_edits(record)]
    if found:
        return found
    options = record.options
    try:
        costs, dtype = Costs(**options["costs"]), str(options["dtype"])
    except (KeyError, TypeError) as error:
        raise GricolZooError(f"The record's options are incomplete: {error}. The file was altered or truncated.") from error
    if dtype not in ("auto", *DTYPES, classifier.dtype) and not terms.classes_only:
        raise GricolZooError(f"The record's run used {dtype!r}, but its model uses {classifier.dtype}. The file was altered.")
    layout = str(options.get("layout", "auto"))
    within = options.get("within_cell", 0.0)  # records from before this option do not have it
    again = karyotype(classifier, images, costs=costs, layout=layout, scale=record.scale, within=within)
    found += [*_of_the_cell(record, again, images, terms), *_options(record, again, terms), *_warnings(record, again, terms)]
    for old, new in zip(record.chromosomes, again.chromosomes, strict=True):
        compare = _results(old, new, terms), _classes(old) if terms.classes_only else _numbers(old, new, terms)
        found += [f"chromosome {old.id}: {line}" for lines in compare for line in lines]
    return found


def _of_the_cell(record: Karyotype, again: Karyotype, images: ImageSet, terms: Terms) -> Iterator[str]:
    if again.sex != record.sex:
        yield f"the expected sex was {record.sex!r}, is now {again.sex!r}"
    names = {again.cell, *("/".join(filter(None, (one.case, one.cell))) for one in images.records[:1])}
    names |= {one.cell for one in images.records[:1] if one.cell}
    if record.cell not in names and not terms.moved:
        yield f"the cell was {record.cell!r}, is now {again.cell!r}"
    forgiven = (terms.moved and not again.case) or (terms.from_before and not record.case)
    if record.case != again.case and not forgiven:
        yield f"the case was {record.case!r}, is now {again.case!r}"
    if record.model.get("hub_ref", "") != again.model["hub_ref"] and not terms.renamed:
        yield f"the weights came from {record.model.get('hub_ref')!r}, now from {again.model['hub_ref']!r}"
    if set(record.model) != set(again.model):
        yield f"the model had the fields {', '.join(sorted(record.model))}, has now {', '.join(sorted(again.model))}"


def _options(record: Karyotype, again: Karyotype, terms: Terms) -> Iterator[str]:
    """Compare the options as they are in a file: 1, 1.0 and true are different."""
    for key in record.options if terms.from_before else {**record.options, **again.options}:
        old, new = record.options.get(key), again.options.get(key)
        left_out = terms.classes_only and f"options.{key}" in NUMBERS
        if key != "fit" and json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True) and not left_out:
            yield f"the option {key} was {old!r}, is now {new!r}"


def _warnings(record: Karyotype, again: Karyotype, terms: Terms) -> Iterator[str]:
    if terms.from_before and not record.warnings:
        return
    left_out = NOT_AGAIN + (OF_NUMBERS if terms.classes_only else ())
    for before, after, what in (
        (again.warnings, record.warnings, "missing"),
        (record.warnings, again.warnings, "not found again"),
    ):
        for warning in before:
            if warning not in after and not any(words in warning for words in left_out):
                yield f"a warning of the cell is {what}: {warning}"


def written(file: Path, record: Karyotype) -> list[str]:
    """Return the texts for people in a record's file that are wrong, and the numbers that are not finite."""
    data = read_json(file, "a karyotype")
    found = []
    for key, wanted in (("draft", record.draft), ("note", NOTE)):
        if data.get(key) != wanted:
            found.append(f"its {key} is {data.get(key)!r}, but should be {wanted!r}")
    return found + [f"{where} is {value}, which is not a number" for where, value in _endless(data, "")]


def _endless(value: Any, where: str) -> Iterator[tuple[str, float]]:
    """Find the NaNs and infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        yield where.removeprefix("."), value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _endless(item, f"{where}.{key}")


def other_versions(record: Karyotype) -> list[str]:
    """Return the versions that differ from the record's, one line each: not an error, but a reason for small differences."""
    runtime = str(record.options.get("runtime", TORCH))
    here: dict[str, Any] = versions(f"{runtime} {ENGINES[runtime].version()}" if runtime in ENGINES else TORCH)
    return [f"{name} was {old}, is now {here.get(name)}" for name, old in record.versions.items() if here.get(name) != old]


def _inputs(record: Karyotype, model: Classifier, images: ImageSet) -> Iterator[str]:
    sha256 = model.weights_sha256
    if sha256 != record.model.get("weights_sha256"):
        yield f"the weights were {record.model.get('weights_sha256', '')[:12]}..., are now {sha256[:12] or 'unknown'}..."
    if list(model.labels) != list(record.labels):
        yield "the model has different classes"
    old = [images.store.find(item.path) or item.path for item in record.chromosomes]  # a name may be in another Unicode form
    new = [item.path for item in images.records]
    if old != new:
        more, fewer = sorted(set(new) - set(old)), sorted(set(old) - set(new))
        yield f"the cell has different images: {len(more)} new, {len(fewer)} missing" + "".join(
            f"; {path}" for path in (more + fewer)[:3]
        )
        return
    for item, path in zip(record.chromosomes, old, strict=True):
        try:
            sha256 = hashlib.sha256(images.read(Record(path))).hexdigest()
        except (GricolZooError, OSError):
            sha256 = ""
        if sha256 != item.sha256:
            yield f"{item.path} has changed"


def _edits(record: Karyotype) -> Iterator[str]:
    now = {(item.id, what): value for item in record.chromosomes for what, value in item.found.items()}
    for edit in record.edits:
        if edit.what == CHECKED:
            continue
        if now.get((edit.id, edit.what)) != edit.before:
            yield f"the edits are inconsistent: chromosome {edit.id} was not {edit.before or 'unassigned'!r}"
            return
        now[edit.id, edit.what] = edit.after
    for item in record.chromosomes:
        for what, value in item.drawn.items():
            if value != now[item.id, what]:
                yield f"chromosome {item.id} is {value or 'unassigned'} without a recorded edit; redraw the file"
    yield from broken_seals(record)


def _results(old: Chromosome, new: Chromosome, terms: Terms) -> Iterator[str]:
    """Compare the fields that are not numbers."""
    names = ["id", "error", "predicted", "automatic"]
    names += ["warnings"] * (not terms.from_before or bool(old.warnings))
    names += [name for name in ("label", "short_arm") if getattr(new, name) or not terms.moved]
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name} was {before!r}, is now {after!r}"
    if set(old.probabilities) != set(new.probabilities):
        yield "its probabilities are of different classes"


def _classes(old: Chromosome) -> Iterator[str]:
    """Check that a record's numbers, which cannot be compared, do not contradict its own class."""
    if old.probabilities and old.probabilities.get(old.predicted, 0) < max(old.probabilities.values()):
        yield "its probabilities speak for another class than the predicted one"


def _numbers(old: Chromosome, new: Chromosome, terms: Terms) -> Iterator[str]:
    margin = MARGIN * terms.rounding
    # Each test is "not near" instead of "far", because a NaN in the record is neither.
    if old.polarity is None and new.polarity is not None and not terms.from_before:
        yield f"the probability that its short arm is up was not there, is now {new.polarity}"
    if old.polarity is not None and (new.polarity is None or not abs(old.polarity - new.polarity) <= margin):
        yield f"the probability that its short arm is up was {old.polarity}, is now {new.polarity}"
    both = old.probabilities.keys() & new.probabilities.keys()
    if not all(abs(old.probabilities[label] - new.probabilities[label]) <= terms.rounding for label in both):
        yield "its probabilities differ"
    if not abs(old.confidence - new.confidence) <= margin:
        yield f"its confidence was {old.confidence:.4f}, is now {new.confidence:.4f}"
