"""``gricol-zoo sign``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gricol_zoo.errors import GricolZooError

HELP = "sign a karyotype.json with an Ed25519 key (`verify --signed-by` checks it), or make a key"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("record", type=Path, nargs="?", metavar="RECORD", help="a final karyotype.json")
    command.add_argument("--key", type=Path, required=True, metavar="FILE", help="your private key (PEM); keep it secret")
    command.add_argument("--new", action="store_true", help="first make the key, and the public key FILE.pub to give to others")


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.karyotype.document import signature_file, to_sign
    from gricol_zoo.karyotype.reading import read_karyotype
    from gricol_zoo.weights.ed25519 import make_keys, sign, write_signature

    if not options.new and options.record is None:
        raise GricolZooError("Expected a karyotype.json to sign, or --new to make a key.")
    if options.new:
        print(f"{make_keys(options.key)} is the public key: give it to those who verify your signatures", file=sys.stderr)
    if options.record is None:
        return 0
    record = read_karyotype(options.record)
    if record.note_edits().edits != list(record.edits):
        raise GricolZooError(f"{options.record} has edits that are not recorded. Redraw it with `gricol-zoo karyotype` first.")
    signature = sign("karyotype", to_sign(options.record), options.key)
    write_signature(signature_file(options.record), signature)
    print(f"{signature_file(options.record)}: {options.record} is signed by the key {signature['key']}", file=sys.stderr)
    return 0
