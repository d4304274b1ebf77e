"""What one browser tab is at: its upload, its karyotypes, what is selected. Nothing of it is shared with another tab."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gricol_zoo.data.crops import read_once
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.classifier import Classifier, of_network
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.pictures import draw_chromosomes, open_greys
from gricol_zoo.karyotype.run import karyotype
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.serve.uploads import Upload, check_cell, open_upload

Models = Mapping[str, GridModel | DeployedModel]
ZOOM = 2  # pixels a unit of the layout
MAX_SESSIONS = 30  # tabs that are remembered; the longest unused goes first
MAX_NAME = 40  # letters of whoever corrects


@dataclass
class Cell:
    """A classified cell.

    Attributes:
        karyotype: its, now.
        pictures: (h, w) uint8 by id, turned as they are drawn.
        model: the name of the page's model that classified it, "" where the page does not have it.
    """

    karyotype: Karyotype
    pictures: dict[int, np.ndarray]
    model: str


class Session:
    """One tab. Each method changes it whole or not at all; what the page shows is read from its attributes.

    Args:
        root: where its folder, for uploads, is made; ``end`` deletes it.
        models: by name; shared, and only read.

    Attributes:
        upload: what was dropped, None before that.
        model: the name of the model in use.
        cell: the name of the cell in view.
        cells: those that have been classified, by name.
        selected: the id of the chosen chromosome in the cell in view.
    """

    def __init__(self, root: Path, models: Models) -> None:
        # A name that cannot be guessed: whoever has it could ask the server for the files.
        self.folder = Path(tempfile.mkdtemp(dir=root))
        self.models = models
        self.lock = threading.RLock()  # two clicks of one tab may arrive together
        self.upload: Upload | None = None
        self.model = next(iter(models))
        self.cell = ""
        self.cells: dict[str, Cell] = {}
        self.selected: int | None = None

    def take(self, files: Sequence[Path]) -> str:
        """Move uploaded files into the session's folder, in place of those before; return what they are, in a line.

        A cell whose karyotype.json is among them is shown as it was left.

        Raises:
            GricolZooError: they cannot be used (see ``gricol_zoo.serve.uploads``), and are deleted; the former stay.
        """
        place = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            upload = open_upload(move_into(files, place))
            cells = {name: self._reopen(karyotype, upload.cells[name]) for name, karyotype in upload.karyotypes.items()}
        except GricolZooError as error:
            shutil.rmtree(place, ignore_errors=True)
            raise GricolZooError(str(error).replace(f"{place}{os.sep}", "")) from error
        for old in self.folder.iterdir():
            if old != place:
                shutil.rmtree(old, ignore_errors=True)
        self.upload, self.cells, self.selected = upload, cells, None
        self.cell = next(iter(upload.cells))
        self.model = next((cell.model for cell in cells.values() if cell.model), self.model)
        count = len(upload.cells)
        counted = "1 cell" if count == 1 else f"{count} cells"
        images = "1 image" if upload.images == 1 else f"{upload.images} images"
        return " ".join([f"{upload.source}: {images} of {counted}.", *upload.notes])

    def run(self, model: str) -> str:
        """Classify the cell in view with a model; the others follow when they are chosen. Return what was done, in a line.

        Raises:
            GricolZooError: nothing to classify, no such model, or images too large.
        """
        if model not in self.models:
            raise GricolZooError(f"Expected a model of {', '.join(self.models)}, but got {model!r}.")
        lost = sum(len(cell.karyotype.edits) for cell in self.cells.values())
        done = self._classify(self.cell, self.images, model)
        self.model, self.cells, self.selected = model, {self.cell: done}, None
        return summary(done.karyotype) + (f" Corrections of the previous run were discarded: {lost}." if lost else "")

    def _classify(self, cell: str, images: ImageSet, model: str) -> Cell:
        check_cell(images)
        images = read_once(images, self.models[model].spec.preprocess.ground)
        source = self.upload.source if self.upload else ""
        found = karyotype(self.models[model], images, cell=cell, name=model, source=source, rivals=partial(self._others, model))
        return Cell(found, draw_chromosomes(found, open_greys(found, images), ZOOM), model)

    def _reopen(self, karyotype: Karyotype, images: ImageSet) -> Cell:
        check_cell(images)
        makers = (name for name, model in self.models.items() if classified_by(karyotype, model))
        return Cell(karyotype, draw_chromosomes(karyotype, open_greys(karyotype, images), ZOOM), next(makers, ""))

    def _others(self, model: str) -> Iterator[Classifier]:
        return (of_network(other)._replace(name=name) for name, other in self.models.items() if name != model)

    def choose_cell(self, cell: str) -> str:
        """Bring another cell into view, classified if it is not yet; return what it is, in a line.

        Raises:
            GricolZooError: no such cell, or images too large.
        """
        if self.upload is None or cell not in self.upload.cells:
            raise GricolZooError(f"There is no cell {cell!r}. Drop its images first.")
        if self.cells and cell not in self.cells:
            self.cells[cell] = self._classify(cell, self.upload.cells[cell], self.model)
        self.cell, self.selected = cell, None
        return summary(self.cells[cell].karyotype) if cell in self.cells else ""

    @property
    def karyotype(self) -> Karyotype | None:
        """Of the cell in view; None before it is classified."""
        return self.cells[self.cell].karyotype if self.cell in self.cells else None

    @property
    def network(self) -> GridModel | DeployedModel | None:
        """The model that classified the cell in view; None before that, or where the page does not have it."""
        return self.models.get(self.cells[self.cell].model) if self.cell in self.cells else None

    @property
    def images(self) -> ImageSet:
        """Of the cell in view.

        Raises:
            GricolZooError: nothing was dropped.
        """
        if self.upload is None:
            raise GricolZooError("There are no images yet. Drop a cell's crops, or a zip, first.")
        return self.upload.cells[self.cell]

    def select(self, id: int) -> None:
        """Choose a chromosome.

        Raises:
            GricolZooError: no karyotype yet, or no such chromosome.
        """
        self.selected = self._classified().karyotype.find(id).id

    def move(self, label: str, by: str = "") -> str:
        """Give the chosen chromosome another class, "" for none; ``by`` is noted. Return what was done, in a line.

        Raises:
            GricolZooError: nothing chosen, or not possible for this chromosome.
        """
        cell, id = self._chosen()
        before = cell.karyotype.find(id).assigned
        cell.karyotype = cell.karyotype.move(id, label, by=" ".join(by.split())[:MAX_NAME])
        words = [name or "unassigned" for name in (before, label)]
        return f"No. {id} moved: {words[0]} to {words[1]}." if before != label else f"No. {id} is already {words[0]}."

    def turn(self) -> str:
        """Turn the chosen chromosome upside down; return what was done, in a line.

        Raises:
            GricolZooError: nothing chosen, or an image that could not be read.
        """
        cell, id = self._chosen()
        if id not in cell.pictures:
            raise GricolZooError(f"Chromosome {id} could not be read, so it cannot be turned.")
        cell.karyotype = cell.karyotype.turn(id)
        cell.pictures[id] = cell.pictures[id][::-1, ::-1]
        return f"No. {id} turned upside down."

    def _classified(self) -> Cell:
        if self.cell not in self.cells:
            raise GricolZooError("There is no karyotype yet. Drop a cell's crops, or a zip, and run a model first.")
        return self.cells[self.cell]

    def _chosen(self) -> tuple[Cell, int]:
        cell = self._classified()
        if self.selected is None:
            raise GricolZooError("No chromosome is selected. Click one in the karyogram first.")
        return cell, self.selected

    def end(self) -> None:
        """Forget everything, and delete the uploaded files."""
        self.upload, self.cells, self.cell, self.selected = None, {}, "", None
        shutil.rmtree(self.folder, ignore_errors=True)


def classified_by(karyotype: Karyotype, model: GridModel | DeployedModel) -> bool:
    """Say whether a karyotype is by these weights and of their classes, its images prepared as the model prepares them."""
    how = model.spec.preprocess
    if tuple(karyotype.labels) != model.spec.labels:
        return False  # or a class of the record's would be taken for another one of the model's
    prepared = (karyotype.options.get("preparation"), karyotype.options.get("ground")) == (how.version, how.ground)
    return prepared and bool(model.info.sha256) and karyotype.model.get("weights_sha256") == model.info.sha256


def summary(karyotype: Karyotype) -> str:
    """Return one line on how the run went."""
    unread = sum(bool(item.error) for item in karyotype.chromosomes)
    read = len(karyotype.chromosomes) - unread
    if not read:
        none = "The image could not be read" if unread == 1 else f"None of the {unread} images could be read"
        return f"{none}: {karyotype.chromosomes[0].error}."
    line = f"{read} image{'' if read == 1 else 's'} classified."
    return f"{line} {unread} could not be read." if unread else line


def move_into(files: Sequence[Path], place: Path) -> list[Path]:
    """Move files into one folder, under names that stay apart; return where they are.

    Raises:
        GricolZooError: one is gone.
    """
    moved: list[Path] = []
    taken: set[str] = set()
    for file in files:
        name, number = file.name, 1
        while name in taken:
            number += 1
            name = f"{file.stem} ({number}){file.suffix}"
        taken.add(name)
        try:
            shutil.move(file, place / name)
        except FileNotFoundError as error:
            raise GricolZooError(f"{file.name} was not uploaded. Drop it again.") from error
        moved.append(place / name)
    return moved


class Sessions:
    """The sessions of a server, by the browser tab's key.

    Args:
        root: where their folders are made.
        models: by name.
    """

    def __init__(self, root: Path, models: Models) -> None:
        self.root = root
        self.models = models
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._ended: deque[str] = deque(maxlen=1000)  # an event that comes late makes no session that nobody would end

    def __len__(self) -> int:
        return len(self._open)

    def get(self, key: str) -> Session:
        """Return a tab's session, a new one if it has none; the longest unused is ended where there are too many.

        Raises:
            GricolZooError: the tab was closed.
        """
        with self._lock:
            if key in self._ended:
                raise GricolZooError("This page lost its connection, and its files were deleted. Load it again.")
            if key not in self._open:
                self._open[key] = Session(self.root, self.models)
            self._open.move_to_end(key)
            while len(self._open) > MAX_SESSIONS:
                self._open.popitem(last=False)[1].end()
            return self._open[key]

    def end(self, key: str) -> None:
        """End a tab's session, if it has one."""
        with self._lock:
            session = self._open.pop(key, None)
            self._ended.append(key)
        if session:
            session.end()
