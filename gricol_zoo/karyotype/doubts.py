"""What a person should look at in a cell, as text: counts to confirm, and classes to review.

A third 21 is not a doubt about a class: each of the three may be perfectly clear; only their number is unexpected.
"""

from __future__ import annotations

from collections.abc import Mapping

from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.draft import SEX, is_piece, sets_of

ALONE = 0.9  # probability from which a chromosome's class is sure on its own
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def odd_counts(karyotype: Karyotype) -> dict[str, int]:
    """Return the classes whose count differs from the cell's number of sets, with their count; X and Y count together.

    For a part of a cell this is empty: most of the cell is missing.
    """
    counts = karyotype.counts()
    if is_piece(counts):
        return {}
    sets = sets_of(counts)
    odd = {label: count for label, count in counts.items() if label not in SEX and count != sets}
    if set(SEX) <= set(counts) and (counts["X"] + counts["Y"] != sets or not counts["X"]):
        odd |= {label: counts[label] for label in SEX}
    return odd


def of_count(item: Chromosome, odd: Mapping[str, int]) -> bool:
    """Return whether a chromosome is in doubt only because of the count of its class: on its own its class is sure.

    Args:
        item: the chromosome.
        odd: unexpected counts of its cell, from ``odd_counts``.
    """
    alone = item.probabilities.get(item.assigned, 0.0)
    return item.doubtful and item.assigned in odd and item.predicted == item.assigned and alone >= ALONE


def of_class(karyotype: Karyotype) -> list[Chromosome]:
    """Return the chromosomes whose class is in doubt, the least sure first."""
    odd = odd_counts(karyotype)
    return [item for item in karyotype.doubtful() if not of_count(item, odd)]


def say_counts(karyotype: Karyotype) -> str:
    """Return one line with the counts to confirm, "" if there are none: "three 21: confirm the count"."""
    odd = odd_counts(karyotype)
    said = ", ".join(f"{NUMBERS[count] if count < len(NUMBERS) else count} {label}" for label, count in odd.items())
    return f"{said}: confirm the count{'s' if len(odd) > 1 else ''}" if odd else ""


def describe_doubt(item: Chromosome) -> str:
    """Return one line with a chromosome's class, its confidence, and the likeliest classes on its own."""
    others = sorted(item.probabilities.items(), key=lambda pair: -pair[1])
    seen = ", ".join(f"{label} {percent(value)}" for label, value in others[:3] if value >= 0.005)
    where = f"{item.assigned}, confidence {percent(item.confidence)}" if item.assigned else "unassigned"
    return f"no. {item.id}: {where}; on its own {seen}"


def percent(value: float) -> str:
    """Return a fraction in whole percent, but never 100: no network is that sure.

    >>> percent(0.873), percent(0.9996)
    ('87%', 'over 99%')
    """
    return f"{value:.0%}" if value < 0.995 else "over 99%"
