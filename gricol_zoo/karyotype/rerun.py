"""How a record's run is repeated here: as it was; or, if that is not possible, in fp32 on torch, for its classes only."""

from __future__ import annotations

from typing import NamedTuple

from gricol_zoo.errors import GricolZooError
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.inference.precision import DTYPES, has_bf16
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.runtimes.engines import ENGINES

TORCH = "torch"
RUNTIMES = (TORCH, *ENGINES)
"""Runtimes that a run may have used; records that name none used torch."""
ROUNDING = {"fp32": 1e-4, "bf16": 1e-3, "int8": 1e-3}
"""Tolerance of a probability: rounding differs with the processor and the number of threads. In bf16, 7e-5 was seen once."""
MARGIN = 10  # times this tolerance for a confidence or polarity, which depend on several probabilities


class Rerun(NamedTuple):
    """How a run is repeated.

    Attributes:
        dtype: dtype of the network's computation.
        why_classes_only: why numbers cannot be compared here; "" if they can.
        runtime: the runtime.
    """

    dtype: str
    why_classes_only: str = ""
    runtime: str = TORCH


def how_to_rerun(record: Karyotype) -> Rerun:
    """Return how a record's network is run again.

    A runtime that is not installed, or bf16 on a processor that only emulates it, cannot be used. With another runtime or dtype
    numbers differ by more than rounding. Classes do not, except of a chromosome between two of them.

    Raises:
        GricolZooError: an unknown runtime.
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
    """Return whether a network's record is from before preparations, warnings and polarity were recorded."""
    return bool(classifier.preparation) and "preparation" not in record.options


class Terms(NamedTuple):
    """How a record and its rerun are compared.

    Attributes:
        moved: the images are not where they were.
        renamed: the model has another name.
        from_before: the record is from before some fields were recorded; their absence is accepted.
        classes_only: numbers are not compared.
        rounding: allowed difference of probabilities.
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
