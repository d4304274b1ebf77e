"""What is known of one cell, as data: ``karyotype.json`` is a ``Karyotype`` and nothing else.

It is also the record of the run that made it (model, weights, versions, inputs by hash, options, time) and of every edit
since, so that a result can be checked years later (``gricol-zoo verify``). A person may change ``assigned`` and ``turned`` in
the file by hand; the next drawing finds what was changed and writes it down as an edit.
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
UNASSIGNED_WORD = "unassigned"  # what is confirmed of a chromosome that belongs to no class, such as a marker
CELL = 0  # what an edit of the whole cell has for an id
DOUBTFUL = 0.98  # confidence below which a person should look; chosen on val parts, where it flags 2 and 4 % of the right ones


@dataclass(frozen=True)
class Chromosome:
    """One image of the cell.

    Attributes:
        id: its number in the cell, from 1, in the order of the input.
        path: its file inside the source.
        sha256: of the file's bytes.
        probabilities: the network's calibrated probability of each class; empty if the image could not be read.
        predicted: the likeliest class, by itself.
        automatic: the class that the whole cell gave it, "" for none (unassigned).
        assigned: its class now: ``automatic``, or what a person made of it.
        confidence: that ``automatic`` is right, 0..1, from how much dearer the cell is without it.
        label: the true class, if the source says it; it is never used, only compared.
        short_arm: "up" or "down" where the source says which end the short arm is at, "" if that is not known.
        turned: draw it upside down.
        error: why the image could not be read, "" if it could.
        polarity: the network's probability that the short arm is up in the image; None where it cannot tell.
        warnings: what is wrong with the image, one line each.
        confirmed: the class that a person confirmed, "unassigned" for none; "" if nobody has confirmed one.
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
        """What it is now in each of the fields that a person may change, as an ``Edit`` has it."""
        return {"assigned": self.assigned, "turned": TURNED if self.turned else UPRIGHT, "confirmed": self.confirmed}

    @property
    def found(self) -> dict[str, str]:
        """What it was in these fields before any edit."""
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
        """Whether a person should look at it: unassigned, or not sure, and neither moved nor confirmed by a person."""
        return not self.edited and not self.settled and (not self.assigned or self.confidence < DOUBTFUL)


@dataclass(frozen=True)
class Edit:
    """What a person did to a chromosome: moved it from one class to another, "" for unassigned; turned or confirmed it.

    Attributes:
        time: ISO 8601, UTC.
        by: whose edit it is, as they gave it.
        id: of the chromosome; ``CELL`` where the whole cell was checked.
        before, after: its class; or ``UPRIGHT`` and ``TURNED``; or the class confirmed; or the seal of a checked cell.
        what: the field that was changed: "assigned", "turned" or "confirmed"; "checked" of a cell
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
        sex: what the assignment expected, such as "XX"; "" if two fit alike.
        model: name, weights_sha256 and hub_ref of the weights.
        options: dtype, costs and whatever else the result depends on.
        versions: of Python and of the libraries that computed.
        source: where the images were.
        time: of the run, ISO 8601, UTC.
        edits: in their order.
        case: the person's, "" if unknown.
        scale: what the crops' pixels were multiplied by to be as large as the training's.
        warnings: why the cell as a whole should not be trusted, one line each.
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
        """The karyotype as ISCN writes it, as far as counts tell: "46,XY"; a draft, see ``gricol_zoo.karyotype.draft``.

        Of a cell with warnings it says that it cannot be relied on, so that nobody takes it for a finding.
        """
        counted = draft(self.counts(), len(self.chromosomes))
        return f"not reliable: {counted}" if self.warnings else counted

    def counts(self) -> dict[str, int]:
        """Return how many chromosomes each class has now."""
        found = Counter(chromosome.assigned for chromosome in self.chromosomes if chromosome.assigned)
        return {label: found[label] for label in self.labels}

    def doubtful(self) -> list[Chromosome]:
        """Return what a person should look at, the least sure first."""
        readable = [chromosome for chromosome in self.chromosomes if not chromosome.error]
        return sorted((item for item in readable if item.doubtful), key=lambda item: item.confidence)

    def move(self, id: int, label: str, by: str = "", time: str = "") -> Karyotype:
        """Return the karyotype with one chromosome moved to a class, "" for unassigned, and the edit noted.

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
        """Return the karyotype with one chromosome drawn the other way up, and the edit noted.

        Raises:
            GricolZooError: no such chromosome.
        """
        chromosome = self.find(id)
        changed = dataclasses.replace(chromosome, turned=not chromosome.turned)
        edit = Edit(time or now(), by, id, chromosome.drawn["turned"], changed.drawn["turned"], "turned")
        return self._with(changed, edit)

    def confirm(self, id: int, word: str | None = None, by: str = "", time: str = "") -> Karyotype:
        """Return the karyotype with one chromosome's class confirmed, and the edit noted.

        Args:
            id: of the chromosome.
            word: what is confirmed: a class, "unassigned", or "" to take it back; None is the class that it has now.
            by: whose edit it is.
            time: of the edit; "" is now.

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
        """Return the karyotype with an edit for each chromosome that was changed in the file, which is noted nowhere."""
        edits, time, last = list(self.edits), now(), self.last_noted()
        for item in self.chromosomes:
            for what, value in item.drawn.items():
                if value != last[item.id, what]:
                    edits.append(Edit(time, by, item.id, last[item.id, what], value, what))
        return dataclasses.replace(self, edits=edits)

    def last_noted(self) -> dict[tuple[int, str], str]:
        """Return what each chromosome is in each field that may be changed, as far as the edits tell."""
        found = {(item.id, what): value for item in self.chromosomes for what, value in item.found.items()}
        return found | {(edit.id, edit.what): edit.after for edit in self.edits}

    def to_json(self) -> str:
        """Return it as JSON; ``read_karyotype`` reads it back."""
        data = dataclasses.asdict(self)
        return json.dumps({"format": FORMAT, "draft": self.draft, "note": NOTE, **data}, indent=1, ensure_ascii=False) + "\n"

    def write(self, file: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_atomically(file, self.to_json().encode(errors="backslashreplace"))


def now() -> str:
    """Return the time in UTC to the second, ISO 8601."""
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_sign(file: Path) -> bytes:
    """Return the bytes of a record that a signature is of: all that it says, however it is laid out."""
    return canonical(read_json(file, "a karyotype"))


def signature_file(file: Path) -> Path:
    """Return where a record's signature stands."""
    return file.with_name(f"{file.name}.sig")
