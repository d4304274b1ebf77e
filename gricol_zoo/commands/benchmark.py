"""``gricol-zoo benchmark``."""

from __future__ import annotations

import argparse
from pathlib import Path

from gricol_zoo.commands.common import change_option, parse_changes, positive, run_options
from gricol_zoo.errors import GricolZooError

HELP = "compare the speed of models: images per second, memory, Gflops"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("names", nargs="+", metavar="NAME", help="a model of this zoo, or timm/<name> for a timm model")
    change_option(command)
    what = "what to time (default: inference)"
    command.add_argument("--bench", choices=["inference", "train", "both"], default="inference", help=what)
    forms = "forms of each model to compare (default: as is, optimized)"
    choices = ["as is", "optimized", "compiled"]
    command.add_argument("--forms", nargs="+", choices=choices, default=choices[:2], help=forms)
    command.add_argument("--batch-size", type=positive, default=8, help="images per batch (default: 8)")
    command.add_argument("--in-chans", type=positive, default=0, help="input channels (default: each model's own)")
    command.add_argument("--rounds", type=positive, default=7, help="repetitions for the median and quartiles (default: 7)")
    command.add_argument("--no-memory", action="store_true", help="do not measure peak memory; saves a few seconds per model")
    command.add_argument("--out", type=Path, metavar="CSV", help="write all columns, and the printed table next to it as .md")
    run_options(command, "auto")
    names = ["torch", "onnxruntime", "openvino", "auto"]
    what = "runtime of the optimized forms for inference; several are timed in turn (default: torch)"
    command.add_argument("--runtime", nargs="+", choices=names, default=names[:1], help=what)


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.benchmark.models import Subject
    from gricol_zoo.benchmark.rows import INFER, TRAIN, benchmark, to_markdown
    from gricol_zoo.data.rows import to_csv
    from gricol_zoo.files import write_atomically

    kinds = {"inference": [INFER], "train": [TRAIN], "both": [INFER, TRAIN]}[options.bench]
    if TRAIN in kinds and options.runtime != ["torch"]:
        raise GricolZooError("--runtime only applies to inference. Leave --bench out.")
    changes = parse_changes(options.change)
    subjects = [
        Subject(name, form, options.dtype, options.in_chans, options.device, changes, runtime)
        for name in options.names
        for form in options.forms
        for runtime in (options.runtime if form == "optimized" else ["torch"])
    ]
    rows = benchmark(subjects, kinds, options.batch_size, options.rounds, not options.no_memory)
    table = to_markdown(rows)
    print(table, end="")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out, to_csv(rows).encode())
        write_atomically(options.out.with_suffix(".md"), table.encode())
    return 0
