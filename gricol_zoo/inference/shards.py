"""Bulk prediction over shards (zips, folders, CSVs): one CSV per shard, by any number of processes, on one machine or many.

A process that works on a shard holds a lock, which the operating system releases when the process dies. A process that finds
no free shard waits for the others, and takes over the shard of a dead one. No work is lost: a finished shard is a complete CSV,
and an unfinished one is a ``.part`` file, which is continued after its last complete row.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from filelock import FileLock, Timeout

from gricol_zoo.data.kinds import SUFFIXES
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import escaped, read_json, unguard, what_differs, write_json
from gricol_zoo.inference.predict import COLUMNS
from gricol_zoo.progress import LOGGER, Stop

RUN_FILE, LOCKS = "run.json", ".locks"
WAIT = 1.0  # seconds between checks for free shards
Write = Callable[[ImageSet, TextIO, int | None], Iterator[list[dict[str, Any]]]]
"""Writes rows of a set to a stream and yields them as they are written: the header and all rows (None), or from a row on."""


@dataclass
class Tally:
    """One process's counts of a run.

    Attributes:
        before, here, elsewhere: shards that were done already, that it did, and that others did meanwhile.
        images, review, unreadable, warned: number of images of the shards that it worked on, in this run.
        failed: shards that could not be opened, with the reason.
        stopped: whether it was told to stop before the end.
    """

    before: int = 0
    here: int = 0
    elsewhere: int = 0
    images: int = 0
    review: int = 0
    unreadable: int = 0
    warned: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False


def join_run(folder: Path, paths: Sequence[str | Path], identity: Mapping[str, Any]) -> dict[str, Path]:
    """Add shards to a folder's run, which is created if needed; return each path's CSV, in order.

    A path keeps the name that it got first: its stem, with a number if another path has that stem.

    Args:
        folder: folder of the run.
        paths: zips, folders or CSVs.
        identity: what all processes must agree on, JSON-serialisable: model, weights, dtype.

    Raises:
        GricolZooError: the folder has another run, or a path is an image or given twice.
    """
    given = [os.path.normpath(path) for path in paths]
    for path in given:
        if given.count(path) > 1:
            raise GricolZooError(f"The shard {path} is given twice. Remove one.")
        if path.lower().endswith(SUFFIXES) and not Path(path).is_dir():
            raise GricolZooError(
                f"Expected shards to be zips, folders or CSVs, but {path} is an image. Put images into a folder."
            )
    (folder / LOCKS).mkdir(parents=True, exist_ok=True)
    file = folder / RUN_FILE
    with FileLock(folder / LOCKS / f"{RUN_FILE}.lock"):
        run = read_json(file, "a run of shards") if file.exists() else {**identity, "shards": {}}
        if differs := what_differs(run, identity):
            raise GricolZooError(f"{folder} contains predictions of another run: {differs}. Give another --shards folder.")
        names = run["shards"]
        for path in given:
            if path not in names:
                names[path] = _free_name(Path(path).stem or "shard", set(names.values()))
        write_json(file, run)
    return {path: folder / f"{names[path]}.csv" for path in given}


def _free_name(stem: str, taken: set[str]) -> str:
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def work_on(shards: Mapping[str, Path], write: Write, stop: Stop, done: Callable[[Tally], None], layout: str = "auto") -> Tally:
    """Predict the shards that no other process has, until all are done or ``stop`` is set.

    Args:
        shards: path -> CSV, as ``join_run`` gives them.
        write: see ``Write``.
        stop: checked between batches.
        done: called after each batch, for progress.
        layout: layout of the shards.

    Returns:
        The counts of this process.
    """
    tally = Tally(before=sum(file.exists() for file in shards.values()))
    left = {path: file for path, file in shards.items() if not file.exists()}
    while left and not stop.is_set:
        before = len(left)
        for path, file in list(left.items()):
            if _take(path, layout, file, write, stop, done, tally):
                left.pop(path)
            if stop.is_set:
                break
        if left and len(left) == before and not stop.is_set:
            time.sleep(WAIT)
    tally.stopped = bool(left)
    return tally


def _take(path: str, layout: str, file: Path, write: Write, stop: Stop, done: Callable[[Tally], None], tally: Tally) -> bool:
    """Predict a shard unless another process has it; return whether it needs no more work (done, or it cannot be opened)."""
    lock = FileLock(file.parent / LOCKS / f"{file.stem}.lock")
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        return False
    with held:
        if file.exists():
            tally.elsewhere += 1
            return True
        try:
            images = open_images(path, layout)
        except (GricolZooError, OSError) as error:
            tally.failed[path] = str(error)
            return True
        for note in images.notes:
            LOGGER.info(f"{path}: {note}")
        finished = _predict(images, file, write, stop, done, tally)
    tally.here += finished
    return finished


def _predict(images: ImageSet, file: Path, write: Write, stop: Stop, done: Callable[[Tally], None], tally: Tally) -> bool:
    """Write a shard's CSV from where it was left; False if it was stopped."""
    part = file.with_name(f"{file.name}.part")
    known = whole_rows(part, images)
    with part.open("a", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        for rows in write(images, stream, known):
            tally.images += len(rows)
            tally.warned += sum(bool(row["warnings"]) for row in rows)
            tally.review += sum(row["review"] == 1 for row in rows)
            tally.unreadable += sum(bool(row["error"]) for row in rows)
            done(tally)
            if stop.is_set:
                return False
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)
    return True


def whole_rows(part: Path, images: ImageSet) -> int | None:
    """Truncate a ``.part`` after its last complete row; return its number of rows, or None if not even the header is there.

    Raises:
        GricolZooError: its rows are not the set's first images.
    """
    data = part.read_bytes() if part.exists() else b""
    data = data[: data.rfind(b"\n") + 1]
    if not data:
        part.unlink(missing_ok=True)
        return None
    with part.open("r+b") as stream:
        stream.truncate(len(data))
    header, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))  # a path may hold what str takes for a line end
    expected = [escaped(record.path) for record in images.records[: len(rows)]]
    if header != COLUMNS or [unguard(row[0]) for row in rows] != expected:
        raise GricolZooError(
            f"{part} has rows of images that are not in {images.store.root}. Delete it, or give another --shards folder."
        )
    return len(rows)


def own_device(device: str, environment: Mapping[str, str]) -> str:
    """Return the device of this process: if a launcher started several on a machine (LOCAL_RANK), each has its own GPU."""
    rank = environment.get("LOCAL_RANK", "")
    return f"cuda:{rank}" if device == "cuda" and rank else device
