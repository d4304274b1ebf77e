"""How a record's run is repeated here: as it was; or, where it cannot be, in fp32 on torch, for its classes alone."""

from __future__ import annotations

from typing import NamedTuple

from gricol_zoo.errors import GricolZooError
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.inference.precision import DTYPES, has_bf16
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.runtimes.engines import ENGINES

TORCH = "torch"
RUNTIMES = (TORCH, *ENGINES)
"""What a run may have computed with; records that do not say are of torch."""
ROUNDING = {"fp32": 1e-4, "bf16": 1e-3, "int8": 1e-3}
"""Of a probability: another processor, or number of threads, rounds otherwise. Of one cell in bf16, 7e-5 was seen."""
MARGIN = 10  # times as much of a confidence or polarity, which follow from several


class Rerun(NamedTuple):
    """How a run is repeated.

    Attributes:
        dtype: that a network computes in.
        why_classes_only: why numbers cannot be compared here; "" where they can.
        runtime: what computes.
    """

    dtype: str
    why_classes_only: str = ""
    runtime: str = TORCH


def how_to_rerun(record: Karyotype) -> Rerun:
    """Return how a record's network is run again.

    A runtime that is not installed, and bf16 on a processor that only emulates it, cannot be had. Numbers of another differ by
    more than rounding. Classes do not, but for a chromosome between two of them.

    Raises:
        GricolZooError: a runtime that no version has.
    """
    runtime, dtype = record.options.get("runtime", TORCH), record.options.get("dtype", "")
    if runtime not in RUNTIMES:
        raise GricolZooError(
            f"Expected the record's runtime to be one of {', '.join(RUNTIMES)}, but got {runtime!r:.100}. "
            "The file was altered, or is of a newer version."
        )
    if dtype == "bf16" and not has_bf16():
        return Rerun("fp32", "its run used bf16, which this processor does not have")
    if runtime == TORCH:
        return Rerun(dtype if dtype in ("auto", *DTYPES) else "fp32")
    if dtype not in ENGINES[runtime].dtypes or not ENGINES[runtime].version():
        return Rerun("fp32", f"its run used {runtime} in {dtype}, which is not installed here")
    return Rerun(dtype, runtime=runtime)


def is_from_before(record: Karyotype, classifier: Classifier) -> bool:
    """Say whether a network's record is as they were before preparations, warnings and polarity were noted."""
    return bool(classifier.preparation) and "preparation" not in record.options


class Terms(NamedTuple):
    """On what terms a record and its rerun are compared.

    Attributes:
        moved: the images are somewhere else than they were.
        renamed: the model goes by another name.
        from_before: the record lacks what was not noted then; that alone is forgiven.
        classes_only: numbers are not compared.
        rounding: by which probabilities may differ.
    """

    moved: bool = False
    renamed: bool = False
    from_before: bool = False
    classes_only: bool = False
    rounding: float = ROUNDING["fp32"]


def terms_of(record: Karyotype, classifier: Classifier, moved: bool = False, renamed: bool = False) -> Terms:
    """Return the terms for a record and the classifier that runs it again; errors as for ``how_to_rerun``."""
    classes_only = classifier.dtype in DTYPES and bool(how_to_rerun(record).why_classes_only)
    rounding = ROUNDING.get(classifier.dtype, ROUNDING["fp32"])
    return Terms(moved, renamed, is_from_before(record, classifier), classes_only, rounding)
