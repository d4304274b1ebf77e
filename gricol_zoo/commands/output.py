"""Check that --out does not overwrite an input and does not write into the data."""

from __future__ import annotations

import argparse
from pathlib import Path

from gricol_zoo.errors import GricolZooError

INPUTS = ("paths", "data", "source", "image", "images", "split", "recipe", "init")
"""Options and arguments that may name files that a command reads."""
BESIDE = {"embed": (".csv",), "benchmark": (".md",)}
"""Command -> suffixes of the files that it writes next to --out."""


def check_output(options: argparse.Namespace) -> None:
    """Check that --out does not overwrite an input, and would not be read as part of the data in the next run.

    Raises:
        GricolZooError: it would (the message names both files).
    """
    from gricol_zoo.data.kinds import SUFFIXES
    from gricol_zoo.data.store import MANIFEST

    out = getattr(options, "out", None)
    if out is None:
        return
    beside = [out.with_suffix(suffix) for suffix in BESIDE.get(options.command.prog.split()[-1], ())]
    given = [getattr(options, name, None) for name in INPUTS]
    whole = [one for value in given for one in (value if isinstance(value, list) else [value])]
    inputs = [Path(one) for one in whole if one and isinstance(one, str | Path)]
    for file in (out, *beside):
        for source in inputs:
            if file.is_file() and source.is_file() and file.samefile(source):
                raise GricolZooError(f"--out would overwrite the input {source}. Choose another file.")
            read = file.name.lower() == MANIFEST or file.name.lower().endswith(SUFFIXES)
            if read and source.is_dir() and not file.is_dir() and file.resolve().is_relative_to(source.resolve()):
                raise GricolZooError(
                    f"--out would write {file.name} into the data {source}, where it would be read as part of the data. Choose "
                    "a file outside."
                )
