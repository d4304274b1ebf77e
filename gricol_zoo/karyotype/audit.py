"""Whether a karyotype.json still says what its run gave: the same images through the same weights again, and compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.classifier import Classifier, of_network
from gricol_zoo.inference.precision import DTYPES
from gricol_zoo.inference.preparation import prepare_as
from gricol_zoo.karyotype.assign import Costs
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.run import karyotype
from gricol_zoo.karyotype.versions import versions
from gricol_zoo.models.deployed import DeployedModel

TOLERANCE = 1e-4  # of a probability or confidence: another processor, or number of threads, rounds otherwise


def differences(record: Karyotype, model: GridModel | DeployedModel | Classifier, images: ImageSet) -> list[str]:
    """Return what is no longer as a karyotype says, one line each; none if all of it is.

    Compared are the weights and the images by their hashes, the noted edits with the classes now, and then, if the inputs are
    the same, what the model and the assignment make of them with every option as it was.

    Args:
        record: read from karyotype.json.
        model: with the weights that are to be those of the record.
        images: of the cell.

    The model is left as it was.

    Raises:
        GricolZooError: the record lacks an option that the run needs, or has one that no run had.
    """
    if isinstance(model, Classifier):
        return _differences(record, model, images)
    spec = model.spec
    try:
        prepare_as(model, record.options.get("preparation", 0), record.options.get("ground", ""))
        return _differences(record, of_network(model, dtype_in(record)), images)
    finally:
        model.spec = spec


def dtype_in(record: Karyotype) -> str:
    """Return what a record's network computed in; "fp32" where it says nothing that a network computes in."""
    dtype = record.options.get("dtype", "")
    return dtype if dtype in ("auto", *DTYPES) else "fp32"


def _differences(record: Karyotype, classifier: Classifier, images: ImageSet) -> list[str]:
    found = [*_inputs(record, classifier, images), *_edits(record)]
    if found:
        return found
    options = record.options
    try:
        costs, dtype = Costs(**options["costs"]), str(options["dtype"])
    except (KeyError, TypeError) as error:
        raise GricolZooError(f"The record's options are incomplete: {error}. The file was altered or truncated.") from error
    if dtype not in ("auto", *DTYPES, classifier.dtype):
        raise GricolZooError(f"The record's run used {dtype!r}, but its model uses {classifier.dtype}. The file was altered.")
    again = karyotype(classifier, images, cell=record.cell, costs=costs, scale=record.scale)
    if again.sex != record.sex:
        found.append(f"the expected sex was {record.sex!r}, is now {again.sex!r}")
    if again.warnings and not record.warnings and "preparation" in options:  # records from before have no warnings
        found.append(f"the cell has warnings, but the record has none: {again.warnings[0]}")
    for old, new in zip(record.chromosomes, again.chromosomes, strict=True):
        found += [f"chromosome {old.id}: {line}" for line in _results(old, new)]
    return found


def other_versions(record: Karyotype) -> list[str]:
    """Return which versions are not those of the record's run, one line each: no fault, but a reason for small differences."""
    here: dict[str, Any] = versions()
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
        if now.get((edit.id, edit.what)) != edit.before:
            yield f"the edits are inconsistent: chromosome {edit.id} was not {edit.before or 'unassigned'!r}"
            return
        now[edit.id, edit.what] = edit.after
    for item in record.chromosomes:
        for what, value in item.drawn.items():
            if value != now[item.id, what]:
                yield f"chromosome {item.id} is {value or 'unassigned'} without a recorded edit; redraw the file"


def _results(old: Chromosome, new: Chromosome) -> Iterator[str]:
    for name in ("error", "predicted", "automatic"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name} was {before!r}, is now {after!r}"
    # Each is asked whether it is near, not whether it is far: a NaN in the record is neither.
    if old.polarity is not None and (new.polarity is None or not abs(old.polarity - new.polarity) <= 10 * TOLERANCE):
        yield f"the probability that its short arm is up was {old.polarity}, is now {new.polarity}"
    if set(old.probabilities) != set(new.probabilities):
        yield "its probabilities are of different classes"
    elif not all(abs(value - new.probabilities[label]) <= TOLERANCE for label, value in old.probabilities.items()):
        yield "its probabilities differ"
    if not abs(old.confidence - new.confidence) <= 10 * TOLERANCE:
        yield f"its confidence was {old.confidence:.4f}, is now {new.confidence:.4f}"
