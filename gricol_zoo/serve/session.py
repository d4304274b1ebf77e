"""The state of one browser tab: its upload, its karyotypes, its selection. Tabs share nothing of it."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from gricol_zoo.data.crops import read_once
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.karyotype.case.summary import Failed
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.fit import choose
from gricol_zoo.karyotype.pictures import draw_chromosomes, open_greys
from gricol_zoo.karyotype.review import Action, Check, Review, perform, redo, undo
from gricol_zoo.karyotype.run import karyotype
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.serve.cell import ZOOM, Cell, classified_by, summary
from gricol_zoo.serve.model_pool import ModelPool
from gricol_zoo.serve.signed import sign_checked
from gricol_zoo.serve.uploads import Upload, check_cell, move_into, open_upload

MAX_NAME = 40  # characters of the user's name
BY_FIT = "the best fit"
"""First entry of the list of models: of those with a reference, the one that is surest of the cell's images."""


class Session:
    """One tab. Each method changes it completely or not at all; the page is drawn from its attributes.

    Args:
        root: folder in which its own folder for uploads is created; ``end`` deletes that.
        models: models by name; shared, and only read.
        key: file of the private key that signs checked cells; None for no signatures.

    Attributes:
        upload: the dropped files, None before that.
        model: the name of the requested model, or ``BY_FIT``.
        cell: the name of the current cell.
        cells: the classified cells, by name.
        selected: the id of the selected chromosome of the current cell.
        version, changed_by: number of the last change, and the page that made it; another page of the tab may be outdated.
        by: the user's name, as last given.
        together: whether the overview of all cells is shown instead of the current cell.
        failed: the cells that could not be classified when all were.
    """

    def __init__(self, root: Path, models: ModelPool, key: Path | None = None) -> None:
        # A name that cannot be guessed: with it, the files could be requested from the server.
        self.folder = Path(tempfile.mkdtemp(dir=root))
        self.models = models
        self.key = key
        self.lock = threading.RLock()  # two clicks of one tab may arrive together
        self.upload: Upload | None = None
        self.model = BY_FIT
        self.cell = ""
        self.cells: dict[str, Cell] = {}
        self.selected: int | None = None
        self.version, self.changed_by, self.by = 0, "", ""
        self.together = False
        self.failed: list[Failed] = []

    def take(self, files: Sequence[Path]) -> str:
        """Move uploaded files into the session's folder, replacing earlier ones; return one line that describes them.

        A cell whose karyotype.json is among them is shown as it was left.

        Raises:
            GricolZooError: they cannot be used (see ``gricol_zoo.serve.uploads``), and are deleted; the earlier ones stay.
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
        self.together, self.failed = False, []
        self.cell = next(iter(upload.cells))
        self.model = next((cell.model for cell in cells.values() if cell.model), self.model)
        count = len(upload.cells)
        counted = "1 cell" if count == 1 else f"{count} cells"
        images = "1 image" if upload.images == 1 else f"{upload.images} images"
        return " ".join([f"{upload.source}: {images} of {counted}.", *upload.notes])

    def run(self, model: str) -> str:
        """Classify the current cell with a model; the others follow when they are chosen. Return one line about the result.

        Raises:
            GricolZooError: nothing to classify, no such model, or images too large.
        """
        if model != BY_FIT and model not in self.models:
            raise GricolZooError(f"Expected a model of {', '.join(self.models)}, or {BY_FIT!r}, but got {model!r}.")
        lost = sum(len(cell.karyotype.edits) for cell in self.cells.values())
        done = self._classify(self.cell, self.images, model)
        self.model, self.cells, self.selected = model, {self.cell: done}, None
        self.together, self.failed = False, []
        return summary(done.karyotype) + (f" Corrections of the previous run were discarded: {lost}." if lost else "")

    def _classify(self, cell: str, images: ImageSet, model: str) -> Cell:
        check_cell(images)
        found: dict[str, float] = {}
        if model == BY_FIT:
            able = [self.models.classifier(name) for name, one in self.models.items() if one.info.reference is not None]
            able = able or [self.models.classifier(next(iter(self.models)))]
            images = read_once(images, able[0].ground)
            chosen, found = choose(able, images)
            model = chosen.name
        classifier = self.models.classifier(model)
        images = read_once(images, classifier.ground)
        source = self.upload.source if self.upload else ""
        others = partial(self._others, model)
        result = karyotype(classifier, images, cell=cell, name=model, source=source, rivals=others, fit=found)
        return Cell(Review(result), draw_chromosomes(result, open_greys(result, images), ZOOM), model)

    def _reopen(self, karyotype: Karyotype, images: ImageSet) -> Cell:
        check_cell(images)
        makers = (name for name, model in self.models.items() if classified_by(karyotype, model))
        pictures = draw_chromosomes(karyotype, open_greys(karyotype, images), ZOOM)
        return Cell(Review(karyotype), pictures, next(makers, ""), len(karyotype.edits))

    def _others(self, model: str) -> Iterator[Classifier]:
        return (self.models.classifier(name) for name in self.models if name != model)

    def choose_cell(self, cell: str) -> str:
        """Make another cell the current one, and classify it if needed; return one line about it.

        Raises:
            GricolZooError: no such cell, or images too large.
        """
        if self.upload is None or cell not in self.upload.cells:
            raise GricolZooError(f"There is no cell {cell!r}. Drop its images first.")
        if self.cells and cell not in self.cells:
            self.cells[cell] = self._classify(cell, self.upload.cells[cell], self.model)
        self.cell, self.selected, self.together = cell, None, False
        return summary(self.cells[cell].karyotype) if cell in self.cells else ""

    def classify_all(self) -> None:
        """Classify the cells that are not classified yet; an error is recorded in ``failed``, and the others follow.

        Raises:
            GricolZooError: nothing was dropped.
        """
        if self.upload is None:
            raise GricolZooError("There are no images yet. Drop a cell's crops, or a zip, first.")
        self.failed = []
        for name, images in self.upload.cells.items():
            try:
                self.cells[name] = self.cells.get(name) or self._classify(name, images, self.model)
            except GricolZooError as error:
                self.failed.append(Failed(name, str(error), images.records[0].case))
        self.cells = {name: self.cells[name] for name in self.upload.cells if name in self.cells}

    def show_all(self) -> str:
        """Show the overview of all cells; return one line with their number. Errors as for ``classify_all``."""
        self.classify_all()
        self.together, self.selected = True, None
        return f"Cells shown: {len(self.cells)}. Click one to work on it."

    @property
    def karyotype(self) -> Karyotype | None:
        """Karyotype of the current cell; None before it is classified, and in the overview."""
        return self.cells[self.cell].karyotype if self.cell in self.cells and not self.together else None

    @property
    def network(self) -> GridModel | DeployedModel | None:
        """The model that classified the current cell; None before that, or if the page does not have it."""
        return self.models.get(self.cells[self.cell].model) if self.cell in self.cells else None

    @property
    def images(self) -> ImageSet:
        """Images of the current cell.

        Raises:
            GricolZooError: nothing was dropped.
        """
        if self.upload is None:
            raise GricolZooError("There are no images yet. Drop a cell's crops, or a zip, first.")
        return self.upload.cells[self.cell]

    def select(self, id: int) -> None:
        """Select a chromosome of the current cell.

        Raises:
            GricolZooError: no karyotype yet, or no such chromosome.
        """
        self.selected = self._classified().karyotype.find(id).id

    def do(self, action: Action, by: str = "") -> str:
        """Perform an action on the current cell (``gricol_zoo.karyotype.review``); return one line about it.

        Raises:
            GricolZooError: no karyotype yet, or the action is not possible.
        """
        return self._go_to(perform(self._classified().review, action, self._named(by)))

    def undo(self, by: str = "") -> str:
        """Undo the last step on the current cell; errors as for ``do``."""
        return self._go_to(undo(self._classified().review, self._named(by)))

    def redo(self, by: str = "") -> str:
        """Redo the step that was undone last; errors as for ``do``."""
        return self._go_to(redo(self._classified().review, self._named(by)))

    def check(self, by: str = "") -> str:
        """Mark the current cell as checked, and sign it if there is a key; errors as for ``do``."""
        line = self.do(Check(), by)
        cell = self._classified()
        if self.key is not None and cell.signature is None:
            cell.signature = sign_checked(cell.karyotype, self.key)
            line = f"{line} Signed by the key {cell.signature['key']}."
        return line

    def _named(self, by: str) -> str:
        self.by = " ".join(by.split())[:MAX_NAME]
        return self.by

    def _go_to(self, review: Review) -> str:
        """Put the current cell into another state: pictures turn with their chromosomes, and the signature is dropped."""
        cell = self._classified()
        before = {item.id: item.turned for item in cell.karyotype.chromosomes}
        for item in review.karyotype.chromosomes:
            if item.turned != before[item.id] and item.id in cell.pictures:
                cell.pictures[item.id] = cell.pictures[item.id][::-1, ::-1]
        if review.karyotype is not cell.karyotype:
            cell.signature = None
        cell.review = review
        return review.line

    def _classified(self) -> Cell:
        if self.together:
            raise GricolZooError("All cells are in view. Click one of them first.")
        if self.cell not in self.cells:
            raise GricolZooError("There is no karyotype yet. Drop a cell's crops, or a zip, and run a model first.")
        return self.cells[self.cell]

    def end(self) -> None:
        """Clear the session, and delete the uploaded files."""
        self.upload, self.cells, self.cell, self.selected = None, {}, "", None
        shutil.rmtree(self.folder, ignore_errors=True)
