"""Recognise class names in common spellings: 7, 07, chr7, clase7, 23 for X, or numbers from 0."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gricol_zoo.spec import CHROMOSOMES

WORDS = (
    *("chr", "chrom", "chromosome", "chromosom", "chromosoma", "cromosoma", "cromossomo", "kromosom", "kromozom", "hromosom"),
    *("class", "classe", "clase", "klasse", "klass", "klasa", "kelas", "cls", "label", "染色体"),
)
"""Words that mark the number after them as a class."""
NUMBER = r"0*(\d{1,2}|[XY])"
NAME = re.compile(rf"^([^\W\d_]*?)[ ._-]*{NUMBER}$", re.IGNORECASE)
SEXES = {23: "X", 24: "Y"}


class Classes(NamedTuple):
    """Names interpreted as chromosomes.

    Attributes:
        label: name -> chromosome.
        how: the rule that was used, as text; "" if the names are already spelt as in this package.
        certain: whether they cannot mean anything else; plain numbers such as 1, 2, 3 can.
    """

    label: Mapping[str, str]
    how: str
    certain: bool


def classes_of(names: Iterable[str], labels: bool = False) -> Classes | None:
    """Interpret names as chromosomes; None unless all are named like chromosomes, in the same way.

    Args:
        names: names of folders or files, or labels.
        labels: whether they are known to be labels, so that only their spelling must be recognised.
    """
    found = {name: NAME.match(_spelt(name, labels)) for name in names}
    words = {match[1].casefold() if match else "?" for match in found.values()}
    if not words <= {"", *WORDS} or (len(words) != 1 and not (labels and words)):
        return None
    word = max(words)
    values = {name: match[2].upper() for name, match in found.items() if match}
    numbers = {int(value) for value in values.values() if value.isdigit()}
    letters = bool({"X", "Y"} & set(values.values()))
    first, certain = _count(numbers, letters, labels or bool(word))
    if first is None:
        return None
    label = {name: value if value in "XY" else CHROMOSOMES[int(value) - first] for name, value in values.items()}
    how = f"chromosomes with {word!r} before them" if word else ""
    if numbers and max(numbers) - first >= 22:
        how = f"numbers from {first} to {first + 23}: {22 + first} is X, {23 + first} is Y"
    elif any(name != value for name, value in label.items()) and not word:
        how = "chromosomes in another spelling"
    return Classes(label, how, certain)


def _spelt(name: str, label: bool) -> str:
    """Return a name in plain digits and letters, without invisible characters; for a label, without decimals such as ".0"."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKC", name) if unicodedata.category(sign) != "Cf").strip()
    return re.sub(r"(?<=\d)[.,]0+$", "", plain) if label else plain


def _count(numbers: set[int], letters: bool, word: bool) -> tuple[int | None, bool]:
    """Return the number of the first class, None if the numbers are not classes, and whether that is certain."""
    if letters:
        return (1, word or bool(numbers)) if numbers <= set(range(1, 23)) else (None, False)
    if numbers == set(range(24)):
        return 0, True
    if numbers and numbers <= set(range(1, 25)):
        return 1, word or len(numbers) == 24
    return None, False
