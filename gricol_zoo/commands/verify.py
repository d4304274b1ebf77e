"""``gricol-zoo verify``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gricol_zoo.commands.common import count_of, layout_option
from gricol_zoo.commands.kinds import load_classifier
from gricol_zoo.files import escaped, on_another_machine

if TYPE_CHECKING:
    from gricol_zoo.karyotype.document import Karyotype
    from gricol_zoo.karyotype.rerun import Terms

HELP = "rerun a karyotype.json and compare: the same weights, images and options must give the same classes"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("record", type=Path, metavar="RECORD", help="a karyotype.json")
    command.add_argument("--images", type=Path, metavar="PATH", help="where its images are now (default: as recorded)")
    layout_option(command, "")
    command.add_argument("--model", default="", metavar="NAME", help="where its weights are now (default: as recorded)")
    signed = "require that every field is signed with this public key (see `sign`)"
    command.add_argument("--signed-by", type=Path, metavar="FILE", help=signed)


def run(options: argparse.Namespace) -> int:
    """Run the command; return 0 if the record is reproduced, else 1."""
    from gricol_zoo.errors import CorruptWeightsError
    from gricol_zoo.karyotype.audit import differences, other_versions, written
    from gricol_zoo.karyotype.reading import read_karyotype
    from gricol_zoo.karyotype.rerun import Terms, how_to_rerun, terms_of
    from gricol_zoo.karyotype.run import find_cell

    record = read_karyotype(options.record)
    signed, wrong = _signature(options)
    images = find_cell(record, options.images, options.layout)
    how = {"preparation": record.options.get("preparation", 0), "ground": record.options.get("ground", "")}
    moved, renamed, rerun = options.images is not None, bool(options.model), how_to_rerun(record)
    terms = Terms(moved, renamed)
    try:
        classifier = load_classifier(options.model or _name_in(record), dtype=rerun.dtype, runtime=rerun.runtime, **how)
        terms = terms_of(record, classifier, moved, renamed)
        found = [*written(options.record, record), *differences(record, classifier, images, moved, renamed)]
    except CorruptWeightsError as error:
        found = [" ".join(str(error).split())]
    found = [*wrong, *found]
    for line in other_versions(record):
        print(f"note: {escaped(line)}", file=sys.stderr)
    for line in found:
        print(f"differs: {escaped(line)}")
    if terms.classes_only:
        print(f"compared in {rerun.dtype} on torch, classes only: {rerun.why_classes_only}")
    if found:
        print(f"{options.record} was not reproduced: {count_of(len(found), 'difference')}")
        return 1
    print(
        f"{options.record} was reproduced: {record.draft}, {count_of(len(record.chromosomes), 'image')}, weights "
        f"{record.model['weights_sha256'][:12]}..., the same classes; {count_of(len(record.edits), 'edit')}"
    )
    _say_what_is_sure(signed, terms)
    return 0


def _name_in(record: Karyotype) -> str:
    from gricol_zoo.errors import GricolZooError

    name = record.model.get("name", "")
    if on_another_machine(name.removeprefix("local-dir:")):  # the same check as for its images
        raise GricolZooError(f"The record says that the weights are at {name!r:.200}. If so, name them with --model.")
    return name


def _say_what_is_sure(signed: str, terms: Terms) -> None:
    from gricol_zoo.karyotype.unprotected import unprotected

    if signed:
        print(f"every field is signed by the key {signed}")
    else:
        print(f"not signed, so consistent changes to these are not detected: {', '.join(unprotected(terms))}")


def _signature(options: argparse.Namespace) -> tuple[str, list[str]]:
    """Return the fingerprint of the key that signed the record ("" without --signed-by), and the errors of the signature."""
    from gricol_zoo.errors import SignatureError
    from gricol_zoo.karyotype.document import signature_file, to_sign
    from gricol_zoo.weights.ed25519 import check, read_signature

    if options.signed_by is None:
        return "", []
    try:
        signature = read_signature(signature_file(options.record))
        return check("karyotype", to_sign(options.record), signature, options.signed_by), []
    except SignatureError as error:
        return "", [str(error)]
