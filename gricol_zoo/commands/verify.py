"""``gricol-zoo verify``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gricol_zoo.commands.common import count_of, layout_option
from gricol_zoo.commands.kinds import load_classifier
from gricol_zoo.files import escaped

HELP = "rerun a karyotype.json and compare: the same weights, images and options must give the same classes"


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare the options."""
    command.add_argument("record", type=Path, metavar="RECORD", help="a karyotype.json")
    command.add_argument("--images", type=Path, metavar="PATH", help="where its images are now (default: where they were)")
    layout_option(command, "")
    command.add_argument("--model", default="", metavar="NAME", help="where its weights are now (default: as recorded)")
    signed = "demand a signature by this public key, of every field (see `sign`)"
    command.add_argument("--signed-by", type=Path, metavar="FILE", help=signed)


def run(options: argparse.Namespace) -> int:
    """Run it; return 0 if everything is as the record says, else 1."""
    from gricol_zoo.errors import CorruptWeightsError
    from gricol_zoo.karyotype.audit import differences, dtype_in, other_versions, unprotected, written
    from gricol_zoo.karyotype.document import read_karyotype
    from gricol_zoo.karyotype.run import find_cell

    record = read_karyotype(options.record)
    signed, wrong = _signature(options)
    images = find_cell(record, options.images, options.layout)
    how = {"preparation": record.options.get("preparation", 0), "ground": record.options.get("ground", "")}
    moved, renamed = options.images is not None, bool(options.model)
    try:
        classifier = load_classifier(options.model or record.model.get("name", ""), dtype=dtype_in(record), **how)
        found = [*written(options.record, record), *differences(record, classifier, images, moved, renamed)]
    except CorruptWeightsError as error:
        found = [" ".join(str(error).split())]
    found = [*wrong, *found]
    for line in other_versions(record):
        print(f"note: {escaped(line)}", file=sys.stderr)
    for line in found:
        print(f"differs: {escaped(line)}")
    if found:
        print(f"{options.record} was not reproduced: {count_of(len(found), 'difference')}")
        return 1
    print(
        f"{options.record} was reproduced: {record.draft}, {count_of(len(record.chromosomes), 'image')}, weights "
        f"{record.model['weights_sha256'][:12]}..., the same classes; {count_of(len(record.edits), 'edit')}"
    )
    if signed:
        print(f"every field is signed by the key {signed}")
    else:
        print(f"not signed, so a consistent alteration of these is not found: {', '.join(unprotected(moved, renamed))}")
    return 0


def _signature(options: argparse.Namespace) -> tuple[str, list[str]]:
    """Return the fingerprint of the key that signed the record, if that was asked, and what is wrong with the signature."""
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
