"""From a ``karyotype.json``, edited by hand or not, to a ``Karyotype``: invalid content is rejected with a reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gricol_zoo.data.scale import check_factor
from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import read_json
from gricol_zoo.karyotype.document import FORMAT, UNASSIGNED_WORD, Chromosome, Edit, Karyotype


def read_karyotype(file: Path) -> Karyotype:
    """Read a ``karyotype.json``, edited by hand or not.

    Raises:
        GricolZooError: not valid JSON, another format, a field missing or unknown, or an invalid class or scale.
        OSError: the file cannot be read.
    """
    return to_karyotype(read_json(file, "a karyotype"), str(file))


def to_karyotype(data: Any, where: str) -> Karyotype:
    """Return the karyotype in the content of a ``karyotype.json``.

    Args:
        data: the content of the file, as parsed JSON.
        where: what to call the file in messages.

    Raises:
        GricolZooError: another format, a field missing or unknown, or an invalid class or scale.
    """
    if not isinstance(data, dict) or type(data.get("format")) is not int or data["format"] != FORMAT:
        raise GricolZooError(
            f"{where} is not a karyotype.json of format {FORMAT}. Expected a file written by `gricol-zoo karyotype`."
        )
    data = {key: value for key, value in data.items() if key not in ("format", "draft", "note")}
    try:
        chromosomes = [_typed(Chromosome, item) for item in data.pop("chromosomes")]
        edits = [_typed(Edit, item) for item in data.pop("edits", [])]
        karyotype: Karyotype = _typed(Karyotype, {**data, "chromosomes": chromosomes, "edits": edits})
    except (TypeError, KeyError, AttributeError) as error:
        raise GricolZooError(f"{where} is damaged: {error}.") from error
    try:
        check_factor(karyotype.scale)
    except GricolZooError as error:
        raise GricolZooError(f"{where} is damaged: {error}") from error
    _check_nested(karyotype, where)
    for warning in [*karyotype.warnings, *(one for item in karyotype.chromosomes for one in item.warnings)]:
        if not isinstance(warning, str):
            raise GricolZooError(f"{where} is damaged: expected each warning to be a string, but got {warning!r:.200}.")
    for item in karyotype.chromosomes:
        if item.assigned and item.assigned not in karyotype.labels:
            raise GricolZooError(
                f"{where}: chromosome {item.id} is assigned {item.assigned!r}. Expected one of {', '.join(karyotype.labels)}, "
                'or "" for unassigned.'
            )
        if item.confirmed not in (*karyotype.labels, UNASSIGNED_WORD, ""):
            raise GricolZooError(f"{where}: chromosome {item.id} is confirmed as {item.confirmed!r}, which is not a class.")
    if len({item.id for item in karyotype.chromosomes}) != len(karyotype.chromosomes):
        raise GricolZooError(f"{where}: two chromosomes have the same id. Give each its own.")
    return karyotype


def _check_nested(karyotype: Karyotype, where: str) -> None:
    """Reject values of a wrong type in the record's mappings and lists, and invalid probabilities, such as NaN."""
    options = [one for value in karyotype.options.values() for one in (value.values() if isinstance(value, dict) else [value])]
    if any(isinstance(one, (list, dict)) for one in options):  # nested values at any depth, because they would be written again
        raise GricolZooError(f"{where} is damaged: an option is neither a text nor a number.")
    probabilities = [value for item in karyotype.chromosomes for value in item.probabilities.values()]
    words = [*karyotype.labels, *karyotype.model.values(), *karyotype.versions.values()]
    words += [karyotype.options.get(key, "") for key in ("dtype", "layout", "ground")]
    for kind, called, values in (((int, float), "number", probabilities), (str, "text", words)):
        for value in values:
            if isinstance(value, bool) or not isinstance(value, kind):
                raise GricolZooError(f"{where} is damaged: expected a {called}, but got {value!r:.200}.")
    told = [value for item in karyotype.chromosomes for value in (item.confidence, item.polarity)]
    if not all(value is None or 0 <= value <= 1 for value in [*probabilities, *told]):
        raise GricolZooError(f"{where} is damaged: a probability is not in 0..1.")


KINDS: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "str": str,
    "bool": bool,
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "Sequence": list,
    "Mapping": dict,
}


def _typed(kind: Any, values: Mapping[str, Any]) -> Any:
    """Make a dataclass from JSON, and check that each value has the declared type of its field."""
    for item in dataclasses.fields(kind):
        value, fits = values.get(item.name), KINDS[str(item.type).partition("[")[0]]
        # In Python, True is also an int.
        if item.name in values and (not isinstance(value, fits) or (isinstance(value, bool) and fits is not bool)):
            raise TypeError(f"{item.name} is {value!r:.200}, expected {item.type}")
    return kind(**values)
