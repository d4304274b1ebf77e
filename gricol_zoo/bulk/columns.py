"""Classify batches of columns, as Ray Data, Spark and Hugging Face datasets pass them: images in, classes out.

A batch maps each column name to n values. The images are in one column, as file contents (bytes), paths, PIL images, arrays, or
mappings with ``bytes`` and ``path`` (as Hugging Face stores them). Or two columns name them: ``root`` (a folder or zip) and
``file`` (a path in it).

The scale of a metaphase cell depends on all of its chromosomes, which need not be in one batch. It is therefore computed
beforehand and passed as a column, ``factor``: ``ColumnMeasurer`` gives the lengths, and ``gricol_zoo.data.scale.find_scales``
the factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch

from gricol_zoo.data.arrays import measure_lengths
from gricol_zoo.data.store import Store
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import ImageError
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.inference.predict import predict_batch
from gricol_zoo.inference.transform import bytes_of
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.runtimes.load import classifier_on, load_network
from gricol_zoo.spec import Preprocess

IMAGE, ROOT, FILE, FACTOR, LENGTH, PIXELS = "image", "root", "file", "factor", "length", "pixels"
Batch = Mapping[str, Sequence[Any]]
NUMBERS = {"probability": float, "second_probability": float, "review": int, "turned": int}
WORDS = ("prediction", "second", "error")


class ColumnClassifier:
    """Classifier of column batches: for ``map_batches`` of Ray Data, ``map(batched=True)`` of datasets, pandas UDFs of Spark.

    A call returns the input columns except the images, and the columns of predictions.csv: prediction, probability, second,
    second_probability, review, turned (a number is None where it does not apply), warnings and error. It adds ``pixels``, a
    hash of the image's pixels as hex digits, which finds the same image twice. An image that cannot be used gives a row with an
    error.

    The object can be pickled: a worker that receives it loads the model at its first batch.

    Args:
        model: the name or folder of weights, "" for the packaged ones; or a network.
        runtime: the runtime that computes (``gricol_zoo.runtimes``).
        dtype: the dtype on that runtime.
        image: the column with the images; if a batch does not have it, ``root`` and ``file`` are used.
        threads: torch threads in the worker's process; 0 leaves the number unchanged.
        preparation: version of the crop preparation; 0 keeps the one of the weights.
        ground: the background, "light", "dark" or "auto"; "" keeps the setting of the weights.
    """

    def __init__(
        self,
        model: str | GridModel | DeployedModel = "",
        runtime: str = "torch",
        dtype: str = "auto",
        image: str = IMAGE,
        threads: int = 0,
        preparation: int = 0,
        ground: str = "",
    ) -> None:
        self.model, self.runtime, self.dtype, self.image = model, runtime, dtype, image
        self.threads, self.preparation, self.ground = threads, preparation, ground

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "classifier"}

    @cached_property
    def classifier(self) -> Classifier:
        """The model, loaded at its first use.

        Raises:
            GricolZooError: the model cannot be loaded, or the runtime is not available.
        """
        if self.threads:
            torch.set_num_threads(self.threads)
        model = self.model
        if isinstance(model, str):
            model = load_network(model, "cpu", True, self.preparation, self.ground)
        return classifier_on(model, self.dtype, self.runtime)

    def __call__(self, batch: Batch) -> dict[str, list[Any]]:
        """Return a batch's columns with the predictions, one list per column.

        Raises:
            GricolZooError: the model cannot be loaded.
            KeyError: the batch has neither the column with images nor ``root`` and ``file``.
        """
        columns = {name: list(values) for name, values in batch.items()}
        images = images_of(columns, self.image)
        factors = columns.get(FACTOR) or [1.0] * len(images)
        answers = predict_batch(self.classifier, images, list(zip(images.records, factors, strict=True)))
        kept = {name: values for name, values in columns.items() if name != self.image}
        typed = [answer(row, digest) for row, digest in answers]
        return kept | {name: [row[name] for row in typed] for name in answer({}, b"")}

    def frames(self, frames: Iterable[Any]) -> Iterator[Any]:
        """Yield a pandas frame of predictions for each pandas frame: for ``mapInPandas`` of Spark."""
        for frame in frames:
            yield type(frame)(self({name: frame[name].tolist() for name in frame.columns}))


class ColumnMeasurer:
    """Adds a column ``length`` to batches: the length of each chromosome in crop pixels, NaN if none was found.

    Args:
        how: how the model prepares crops: ``model.spec.preprocess``.
        image: the column with the images; if a batch does not have it, ``root`` and ``file`` are used.
    """

    def __init__(self, how: Preprocess, image: str = IMAGE) -> None:
        self.how, self.image = how, image

    def __call__(self, batch: Batch) -> dict[str, list[Any]]:
        """Return a batch's columns, except the images, with the lengths; one list per column."""
        columns = {name: list(values) for name, values in batch.items()}
        lengths = measure_lengths(images_of(columns, self.image), self.how).tolist()
        return {name: values for name, values in columns.items() if name != self.image} | {LENGTH: lengths}


def answer(row: Mapping[str, Any], digest: bytes) -> dict[str, Any]:
    """Return the prediction columns of one row of predictions.csv, typed: numbers as numbers, an empty number as None."""
    numbers = {name: kind(row[name]) if row.get(name, "") != "" else None for name, kind in NUMBERS.items()}
    words = {name: row.get(name, "") for name in WORDS}
    return {**words, **numbers, "warnings": "; ".join(row.get("warnings", [])), PIXELS: digest.hex()}


class Column(Store):
    """The images in a column of a batch, each named by its row number."""

    def __init__(self, images: Sequence[Any]) -> None:
        super().__init__(Path("the batch"), [])
        self.crops = images

    def read(self, name: str) -> bytes:
        """Return an image as the bytes of an image file.

        Raises:
            ImageError: the value is missing, or is not an image.
        """
        image = self.crops[int(name)]
        if isinstance(image, Mapping):
            image = image.get("bytes") or image.get("path")
        return bytes_of(image)


class Named(Store):
    """The images that a batch names by the columns root and file, each named by its row number."""

    def __init__(self, roots: Sequence[str], files: Sequence[str]) -> None:
        super().__init__(Path("the batch"), [])
        self.roots, self.files = roots, files

    def read(self, name: str) -> bytes:
        """Return a file's bytes; errors as for ``Store``, and an ImageError if the root cannot be opened."""
        try:
            store = opened(self.roots[int(name)])
        except ValueError as error:
            raise ImageError(str(error)) from error
        return store.read(self.files[int(name)])


@lru_cache(maxsize=64)
def opened(root: str) -> Store:
    """Return a folder or zip, which the process keeps open; the files of a folder are not listed."""
    return Store(Path(root), [] if Path(root).is_dir() else None)


def images_of(columns: Batch, image: str = IMAGE) -> ImageSet:
    """Return a batch as an image set, each image named by its row number.

    Raises:
        KeyError: it has neither the column with images nor ``root`` and ``file``.
    """
    store = Column(columns[image]) if image in columns else Named(columns[ROOT], columns[FILE])
    count = len(columns[image if image in columns else FILE])
    cells, cases = (columns.get(name) or [""] * count for name in ("cell", "case"))
    known = enumerate(zip(cells, cases, strict=True))
    return ImageSet("the batch", [Record(str(at), cell=str(cell), case=str(case)) for at, (cell, case) in known], store)
