"""All data of one cell: ``karyotype.json`` is a ``Karyotype`` and nothing else.

It is also the record of the run that made it (model, weights, versions, inputs by hash, options, time) and of every edit
since, so that a result can be checked years later (``gricol-zoo verify``). A person may change ``assigned`` and ``turned`` in
the file by hand; the next drawing detects such changes and records them as edits.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import read_json, write_atomically
from gricol_zoo.karyotype.draft import NOTE, draft
from gricol_zoo.weights.ed25519 import canonical

FORMAT = 1
UPRIGHT, TURNED = "as it lies", "upside down"
UNASSIGNED_WORD = "unassigned"  # confirmed "class" of a chromosome that belongs to no class, such as a marker
CELL = 0  # id of an edit of the whole cell
DOUBTFUL = 0.98  # confidence below which a person should look; chosen on val parts, where it flags 2 and 4 % of the right ones


@dataclass(frozen=True)
class Chromosome:
    """One image of the cell.

    Attributes:
        id: its number in the cell, from 1, in the order of the input.
        path: its file inside the source.
        sha256: of the file's bytes.
        probabilities: the network's calibrated probability of each class; empty if the image could not be read.
        predicted: the likeliest class of the chromosome on its own.
        automatic: the class from the assignment of the whole cell, "" for none (unassigned).
        assigned: its class now: ``automatic``, or the class that a person gave it.
        confidence: confidence that ``automatic`` is right, 0..1, from how much more the cell costs without it.
        label: the true class, if the source gives it; it is never used, only compared.
        short_arm: "up" or "down" if the source says at which end the short arm is, "" if that is not known.
        turned: draw it upside down.
        error: why the image could not be read, "" if it could.
        polarity: the network's probability that the short arm is up in the image; None if it does not predict it.
        warnings: what is wrong with the image, one line each.
        confirmed: the class that a person confirmed, "unassigned" for no class; "" if nobody has confirmed one.
    """

    id: int
    path: str
    sha256: str
    probabilities: Mapping[str, float] = field(default_factory=dict)
    predicted: str = ""
    automatic: str = ""
    assigned: str = ""
    confidence: float = 0.0
    label: str = ""
    short_arm: str = ""
    turned: bool = False
    error: str = ""
    polarity: float | None = None
    warnings: Sequence[str] = ()
    confirmed: str = ""

    @property
    def drawn(self) -> dict[str, str]:
        """The current value of each field that a person may change, in the form of an ``Edit``."""
        return {"assigned": self.assigned, "turned": TURNED if self.turned else UPRIGHT, "confirmed": self.confirmed}

    @property
    def found(self) -> dict[str, str]:
        """The values of these fields before any edit."""
        down = self.short_arm == "down" if self.short_arm else self.polarity is not None and self.polarity < 0.5
        return {"assigned": self.automatic, "turned": TURNED if down else UPRIGHT, "confirmed": ""}

    @property
    def edited(self) -> bool:
        """Whether a person has moved it."""
        return self.assigned != self.automatic

    @property
    def settled(self) -> bool:
        """Whether a person has confirmed the class that it has now."""
        return self.confirmed == (self.assigned or UNASSIGNED_WORD)

    @property
    def doubtful(self) -> bool:
        """Whether a person should look at it: it is unassigned or not sure, and was neither moved nor confirmed by a person."""
        return not self.edited and not self.settled and (not self.assigned or self.confidence < DOUBTFUL)


@dataclass(frozen=True)
class Edit:
    """What a person did to a chromosome: moved it from one class to another ("" for unassigned), turned it or confirmed it.

    Attributes:
        time: ISO 8601, UTC.
        by: name of the person, as given.
        id: id of the chromosome; ``CELL`` if the whole cell was checked.
        before, after: its class; or ``UPRIGHT`` and ``TURNED``; or the confirmed class; or the seal of a checked cell.
        what: the field that was changed: "assigned", "turned" or "confirmed"; "checked" for a cell
            (``gricol_zoo.karyotype.checked``).
    """

    time: str
    by: str
    id: int
    before: str
    after: str
    what: str = "assigned"


@dataclass(frozen=True)
class Karyotype:
    """One cell.

    Attributes:
        cell: its name.
        chromosomes: all of its images, also those without a class and those that could not be read.
        labels: the classes, in their order.
        sex: the sex chromosomes that the assignment expected, such as "XX"; "" if two fit equally well.
        model: name, weights_sha256 and hub_ref of the weights.
        options: dtype, costs and everything else that the result depends on.
        versions: versions of Python and of the libraries that were used.
        source: where the images were.
        time: time of the run, ISO 8601, UTC.
        edits: in their order.
        case: the person's case, "" if unknown.
        scale: factor that made the crops as large as those of the training.
        warnings: reasons not to trust the cell as a whole, one line each.
    """

    cell: str
    chromosomes: Sequence[Chromosome]
    labels: Sequence[str]
    sex: str = ""
    model: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    time: str = ""
    edits: Sequence[Edit] = ()
    case: str = ""
    scale: float = 1.0
    warnings: Sequence[str] = ()

    @property
    def draft(self) -> str:
        """The karyotype as ISCN writes it, from counts alone: "46,XY"; a draft, see ``gricol_zoo.karyotype.draft``.

        For a cell with warnings it begins with "not reliable", so that nobody takes it for a finding.
        """
        counted = draft(self.counts(), len(self.chromosomes))
        return f"not reliable: {counted}" if self.warnings else counted

    def counts(self) -> dict[str, int]:
        """Return how many chromosomes each class has now."""
        found = Counter(chromosome.assigned for chromosome in self.chromosomes if chromosome.assigned)
        return {label: found[label] for label in self.labels}

    def doubtful(self) -> list[Chromosome]:
        """Return the chromosomes that a person should look at, the least sure first."""
        readable = [chromosome for chromosome in self.chromosomes if not chromosome.error]
        return sorted((item for item in readable if item.doubtful), key=lambda item: item.confidence)

    def move(self, id: int, label: str, by: str = "", time: str = "") -> Karyotype:
        """Return the karyotype with one chromosome moved to a class, "" for unassigned, and the edit recorded.

        Raises:
            GricolZooError: no such chromosome or class, or an image that could not be read.
        """
        chromosome = self.find(id)
        if label and label not in self.labels:
            raise GricolZooError(f"Expected a class of {', '.join(self.labels)}, or nothing for unassigned, but got {label!r}.")
        if chromosome.error and label:
            raise GricolZooError(f"Chromosome {id} could not be read ({chromosome.error}), so it cannot be given a class.")
        if label == chromosome.assigned:
            return self
        edit = Edit(time or now(), by, id, chromosome.assigned, label)
        return self._with(dataclasses.replace(chromosome, assigned=label), edit)

    def turn(self, id: int, by: str = "", time: str = "") -> Karyotype:
        """Return the karyotype with one chromosome drawn the other way up, and the edit recorded.

        Raises:
            GricolZooError: no such chromosome.
        """
        chromosome = self.find(id)
        changed = dataclasses.replace(chromosome, turned=not chromosome.turned)
        edit = Edit(time or now(), by, id, chromosome.drawn["turned"], changed.drawn["turned"], "turned")
        return self._with(changed, edit)

    def confirm(self, id: int, word: str | None = None, by: str = "", time: str = "") -> Karyotype:
        """Return the karyotype with one chromosome's class confirmed, and the edit recorded.

        Args:
            id: id of the chromosome.
            word: what is confirmed: a class, "unassigned", or "" to withdraw it; None is the class that it has now.
            by: name of the person.
            time: time of the edit; "" is now.

        Raises:
            GricolZooError: no such chromosome.
        """
        chromosome = self.find(id)
        word = (chromosome.assigned or UNASSIGNED_WORD) if word is None else word
        if word == chromosome.confirmed:
            return self
        edit = Edit(time or now(), by, id, chromosome.confirmed, word, "confirmed")
        return self._with(dataclasses.replace(chromosome, confirmed=word), edit)

    def find(self, id: int) -> Chromosome:
        """Return a chromosome by its number.

        Raises:
            GricolZooError: no such number.
        """
        for chromosome in self.chromosomes:
            if chromosome.id == id:
                return chromosome
        raise GricolZooError(f"Expected a chromosome from 1 to {len(self.chromosomes)}, but got {id!r}.")

    def _with(self, changed: Chromosome, *edits: Edit) -> Karyotype:
        chromosomes = [changed if item.id == changed.id else item for item in self.chromosomes]
        return dataclasses.replace(self, chromosomes=chromosomes, edits=[*self.edits, *edits])

    def note_edits(self, by: str = "") -> Karyotype:
        """Return the karyotype with an edit for each change in the file that has not been recorded yet."""
        edits, time, last = list(self.edits), now(), self.last_noted()
        for item in self.chromosomes:
            for what, value in item.drawn.items():
                if value != last[item.id, what]:
                    edits.append(Edit(time, by, item.id, last[item.id, what], value, what))
        return dataclasses.replace(self, edits=edits)

    def last_noted(self) -> dict[tuple[int, str], str]:
        """Return the value of each chromosome in each field that may be changed, according to the edits."""
        found = {(item.id, what): value for item in self.chromosomes for what, value in item.found.items()}
        return found | {(edit.id, edit.what): edit.after for edit in self.edits}

    def to_json(self) -> str:
        """Return it as JSON; ``read_karyotype`` reads it back."""
        data = dataclasses.asdict(self)
        return json.dumps({"format": FORMAT, "draft": self.draft, "note": NOTE, **data}, indent=1, ensure_ascii=False) + "\n"

    def write(self, file: Path) -> None:
        """Write it as JSON, atomically."""
        write_atomically(file, self.to_json().encode(errors="backslashreplace"))


def now() -> str:
    """Return the time in UTC to the second, ISO 8601."""
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_sign(file: Path) -> bytes:
    """Return the bytes of a record that are signed: all of its content, independent of the layout of the file."""
    return canonical(read_json(file, "a karyotype"))


def signature_file(file: Path) -> Path:
    """Return the path of a record's signature."""
    return file.with_name(f"{file.name}.sig")
