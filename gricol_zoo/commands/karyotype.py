"""``gricol-zoo karyotype``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from gricol_zoo.commands.cases import write_overview
from gricol_zoo.commands.common import (
    count_of,
    in_words,
    layout_option,
    model_option,
    preparation_options,
    run_options,
    runtime_option,
    say_notes,
    say_pages,
    say_unchecked,
    warn,
)
from gricol_zoo.commands.kinds import load_classifier
from gricol_zoo.commands.networks import load_model
from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import escaped

if TYPE_CHECKING:
    from gricol_zoo.data.table import ImageSet
    from gricol_zoo.inference.classifier import Classifier
    from gricol_zoo.karyotype.document import Karyotype
    from gricol_zoo.karyotype.pictures import Straighten
    from gricol_zoo.spec import Preprocess

OF_CLASSES = ("model", "cell", "ground", "extra", "missing", "unassigned", "preparation", "scale")
"""Options that change the classes: they are rejected for a karyotype.json, which is only redrawn."""
HELP = "assign the chromosomes of a cell together and draw its karyogram, or redraw an edited karyotype.json"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("source", type=Path, metavar="CELL", help="a zip, folder or CSV of crops, or a karyotype.json")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the karyogram and its files")
    model_option(command)
    command.add_argument("--cell", default="", metavar="NAME", help="process only this cell (default: all cells)")
    layout_option(command)
    for name, what in (("extra", "an extra copy"), ("missing", "a missing copy"), ("unassigned", "leaving one unassigned")):
        command.add_argument(f"--{name}", type=float, metavar="NATS", help=f"cost of {what} (default: fitted on the val part)")
    command.add_argument("--images", type=Path, metavar="PATH", help="where the images of a karyotype.json are now")
    command.add_argument("--by", default="", metavar="NAME", help="who made the edits in a karyotype.json")
    command.add_argument("--straighten", action="store_true", help="draw strongly bent chromosomes straight")
    command.add_argument(
        "--bright", action="store_true", help="draw bright bands on black, as Q-bands are seen (default: dark on white)"
    )
    preparation_options(command, "auto")
    run_options(command)
    runtime_option(command)


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    if options.source.suffix.lower() == ".json":
        return _draw_again(options)
    from gricol_zoo.data.crops import read_once
    from gricol_zoo.data.readers import open_images
    from gricol_zoo.data.scale import read_scale
    from gricol_zoo.karyotype.assign import DEFAULT_COSTS, Costs
    from gricol_zoo.karyotype.fit import choose
    from gricol_zoo.karyotype.output import folder_names, write_karyotype
    from gricol_zoo.karyotype.run import cells_of, karyotype, pick_cell
    from gricol_zoo.models.presets import DEFAULT_MODEL

    scale = read_scale(options.scale)
    given = {name: getattr(options, name) for name in ("extra", "missing", "unassigned")}
    costs = Costs(**{name: getattr(DEFAULT_COSTS, name) if value is None else value for name, value in given.items()})
    images = open_images(options.source, options.layout)
    say_notes([images])
    cells = cells_of(images)
    if options.cell:
        cells = {options.cell: pick_cell(cells, options.cell)}
    folders = [options.out] if len(cells) == 1 else [options.out / name for name in folder_names(cells)]
    for folder in folders:
        _keep_edits(folder)
    how = {name: getattr(options, name) for name in ("device", "dtype", "preparation", "ground", "runtime")}
    name = options.model or DEFAULT_MODEL
    classifier = load_classifier(options.model, **how)._replace(name=name)
    say_unchecked(classifier)
    factor_of_case = cache(lambda case: _factor_of_case(images, classifier.preprocess, case))
    rivals = cache(lambda: [*other_weights(name, options)])  # loaded at most once

    def work(cell: str, members: ImageSet, folder: Path) -> Karyotype:
        members = read_once(members, classifier.ground)  # one cell at a time, so that memory does not grow
        of_case = partial(factor_of_case, members.records[0].case)
        # A model given by --model is used; otherwise the weights for the banding are chosen by the images.
        chosen, fit = (classifier, {}) if options.model else choose([classifier, *rivals()], members, scale, of_case)
        result = karyotype(
            chosen,
            members,
            cell=cell,
            name=chosen.name,
            costs=costs,
            source=str(options.source.resolve()),
            layout=options.layout,
            scale=scale,
            of_case=of_case,
            rivals=lambda: [one for one in (classifier, *rivals()) if one.name != chosen.name],
            fit=fit,
        )
        write_karyotype(result, members, folder, _straighten(options), options.bright)
        _say(result, folder)
        return result

    _each_cell(cells, folders, work, options.out)
    return 0


def _straighten(options: argparse.Namespace) -> Straighten | None:
    """Return the function that straightens pictures; None without --straighten."""
    from gricol_zoo.commands.straight import straightened

    return straightened if options.straighten else None


def _each_cell(
    cells: Mapping[str, ImageSet], folders: Sequence[Path], work: Callable[[str, ImageSet, Path], Karyotype], out: Path
) -> None:
    """Process the cells one after another, and write their table even if some fail.

    Raises:
        GricolZooError: some cells failed (the message gives the reasons); the others are done.
    """
    from gricol_zoo.karyotype.case.folder import CaseFolder
    from gricol_zoo.karyotype.case.summary import Failed
    from gricol_zoo.karyotype.case.table import CELLS_FILE, write_cells

    done: list[Karyotype] = []
    places: list[Path] = []
    failed: list[Failed] = []
    try:
        for (cell, members), folder in zip(cells.items(), folders, strict=True):
            try:
                done.append(work(cell, members, folder))
                places.append(folder)
            except (GricolZooError, OSError) as error:
                if len(cells) == 1:
                    raise
                failed.append(Failed(cell, in_words(error), members.records[0].case))
                warn(f"{cell} failed: {failed[-1].why}")
    finally:
        if done or failed:
            out.mkdir(parents=True, exist_ok=True)
            write_cells(done, out / CELLS_FILE, failed)
    if len(done) > 1:
        write_overview(CaseFolder(done, places, failed), out)
    if failed:
        reasons = "; ".join(f"{one.cell}: {one.why}" for one in failed)
        others = ", the others are done" if done else ""
        raise GricolZooError(f"{len(failed)} of {len(cells)} cells failed{others}: {reasons}")


def _factor_of_case(images: ImageSet, how: Preprocess | None, case: str) -> float | None:
    """Return the scale factor from all crops of a case, for a cell that has too few; None if these are not enough either."""
    from gricol_zoo.data.arrays import measure_lengths
    from gricol_zoo.data.scale import factor_of

    if not case or how is None:
        return None
    together = images.subset(index for index, record in enumerate(images.records) if record.case == case)
    return factor_of(measure_lengths(together, how), how.length)


def other_weights(name: str, options: argparse.Namespace) -> Iterator[Classifier]:
    """Yield classifiers with the other packaged weights, to check whether they fit a cell better."""
    from gricol_zoo.models.presets import WEIGHTS
    from gricol_zoo.runtimes.load import classifier_on

    for arch, tags in WEIGHTS.items():
        for tag, weights in tags.items():
            other = f"{arch}.{tag}"
            if weights.packaged and other != name:
                rival = load_model(other, options.device, True, options.preparation, options.ground)
                if rival.info.reference is None:
                    continue  # uses an older preparation, which is not robust to other cameras
                yield classifier_on(rival, options.dtype, options.runtime)._replace(name=other)


def _keep_edits(folder: Path) -> None:
    """Raise GricolZooError if a folder has a karyotype.json with manual edits, which would be overwritten."""
    from gricol_zoo.data.store import DOCUMENT
    from gricol_zoo.karyotype.reading import read_karyotype

    file = folder / DOCUMENT
    if file.is_file() and read_karyotype(file).note_edits().edits:
        raise GricolZooError(f"{file} has manual edits, which would be lost. Choose another --out, or move the file.")


def _draw_again(options: argparse.Namespace) -> int:
    from gricol_zoo.data.store import DOCUMENT
    from gricol_zoo.karyotype.case.table import CELLS_FILE, write_cells
    from gricol_zoo.karyotype.output import write_karyotype
    from gricol_zoo.karyotype.reading import read_karyotype
    from gricol_zoo.karyotype.run import find_cell

    for name in OF_CLASSES:
        if getattr(options, name) != options.command.get_default(name):
            raise GricolZooError(
                f"--{name} changes the classes, but a karyotype.json is only redrawn. Give the images instead."
            )
    if (options.out / DOCUMENT).resolve() != options.source.resolve():
        _keep_edits(options.out)
    result = read_karyotype(options.source).note_edits(options.by)
    write_karyotype(result, find_cell(result, options.images), options.out, _straighten(options), options.bright)
    write_cells([result], options.out / CELLS_FILE)
    _say(result, options.out)
    return 0


def _say(result: Karyotype, folder: Path) -> None:
    from gricol_zoo.data.images import pages_left_out
    from gricol_zoo.karyotype.bands import say_model

    unread = sum(bool(item.error) for item in result.chromosomes)
    parts = [count_of(len(result.chromosomes), "image"), f"{len(result.doubtful())} to review"]
    parts += [f"{unread} could not be read"] * bool(unread)
    parts += [count_of(len(result.edits), "edit")] * bool(result.edits)
    parts += [f"scale {result.scale:g}"] * (result.scale != 1)
    parts.append(escaped(say_model(result)))
    for warning in result.warnings:
        warn(f"{result.cell}: {warning}")
    pages = [pages_left_out("; ".join(item.warnings)) for item in result.chromosomes]
    say_pages(*filter(None, pages))
    warned = sum(bool(item.warnings) for item in result.chromosomes)
    parts += [f"{count_of(warned, 'image')} with warnings"] * bool(warned)
    print(f"{escaped(result.cell)}: {result.draft} (draft); {', '.join(parts)}; in {folder}")
    labelled = [item for item in result.chromosomes if item.label in result.labels and not item.error]
    strange = sorted({item.label for item in result.chromosomes if item.label} - set(result.labels))
    if strange:
        warn(f"{escaped(result.cell)}: labels that the model does not know are not compared: {', '.join(strange[:5])}")
    if labelled:
        single = sum(item.predicted == item.label for item in labelled)
        together = sum(item.assigned == item.label for item in labelled)
        print(f"{count_of(len(labelled), 'labelled image')}: {single} correct one by one, {together} correct assigned together")
