"""``gricol-zoo``: list, info, predict, validate, train, benchmark, demo.

Exit 0 done; 2 the user's mistake (one line on stderr, no traceback); 1 anything else. Progress goes to stderr. Nothing heavy
is imported before the arguments are read, so ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.deployed import DeployedModel
    from gricol_zoo.model import GridModel

DONE, OTHER, MISTAKE = 0, 1, 2
EXTRA_OF = {"accelerate": "train", "sklearn": "train", "matplotlib": "viz", "captum": "viz"}


class _Parser(argparse.ArgumentParser):
    """Say what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISTAKE, f"{self.prog}: {message}. See {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except GricolZooError as error:
        return _mistake(str(error))
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get(error.name or "")
        if extra is None:
            raise
        return _mistake(f"this needs {error.name}: pip install 'gricol_zoo[{extra}]'")
    except (PermissionError, IsADirectoryError, NotADirectoryError, FileNotFoundError, FileExistsError) as error:
        return _mistake(f"{error.filename}: {error.strerror}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing left to say
        return DONE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return OTHER


def _mistake(message: str) -> int:
    print(f"gricol-zoo: {' '.join(message.split())}", file=sys.stderr)
    return MISTAKE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="gricol-zoo", description="A model zoo for chromosome classification by grid reconstruction learning."
    )
    parser.add_argument("--version", action="version", version=f"gricol-zoo {_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    command = _add(commands, "list", run_list, "print the model names, one a line")
    command.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="such as 'gricol_*'")
    command.add_argument("--pretrained", action="store_true", help="only models with weights, as name.tag")

    command = _add(commands, "info", run_info, "print a model's parts, parameters and Gflops (multiply-adds)")
    command.add_argument("name", metavar="NAME")
    command.add_argument("--format", choices=["table", "csv", "json"], default="table")

    command = _add(commands, "predict", run_predict, "classify images; one row an image")
    command.add_argument("paths", nargs="+", metavar="PATH", help="images, folders, zips or CSVs")
    _model_option(command)
    command.add_argument("--out", type=Path, required=True, metavar="CSV")
    command.add_argument("--batch-size", type=_positive, default=0, help="default: what suits the model")
    command.add_argument("--workers", type=_positive, default=0, help="batches at once (default: one a core)")
    _run_options(command, "auto")

    command = _add(commands, "validate", run_validate, "score a model on labelled images")
    _data_option(command)
    _model_option(command)
    command.add_argument("--out", type=Path, required=True, metavar="JSON")
    command.add_argument("--split", type=Path, metavar="CSV", help="columns case,cell,part")
    command.add_argument("--part", choices=["train", "val", "test"], default="test", help="of the split (default: test)")
    command.add_argument("--full", action="store_true", help="all classifiers instead of the lower branch alone")
    _run_options(command)

    command = _add(commands, "train", run_train, "train a model; run it under `accelerate launch` for several GPUs")
    _data_option(command)
    command.add_argument("--model", required=True, metavar="NAME")
    command.add_argument("--out", type=Path, required=True, metavar="DIR")
    command.add_argument("--recipe", default="light", help="a name (paper, light) or a JSON file (default: light)")
    command.add_argument("--epochs", type=_positive, help="instead of the recipe's")
    command.add_argument("--seed", type=int, help="instead of the recipe's")
    command.add_argument("--split", type=Path, metavar="CSV", help="columns case,cell,part (default: made, by case or cell)")
    command.add_argument("--init", default="", metavar="NAME", help="start from these weights: a name, or a folder of `train`")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    command.add_argument(
        "--time-limit", type=float, default=float("inf"), metavar="SECONDS", help="stop cleanly after this long"
    )
    command.add_argument("--checkpoint-every", type=float, default=120, metavar="SECONDS")
    command.add_argument("--device", default="", help="cpu or cuda (default: what there is)")
    command.add_argument("--grad-checkpointing", action="store_true", help="less memory for more time")
    command.add_argument("--compile", action="store_true", help="torch.compile the backbone (needs a C++ compiler)")

    command = _add(commands, "benchmark", run_benchmark, "time models side by side: images a second, memory, Gflops")
    command.add_argument("names", nargs="+", metavar="NAME", help="one of ours, or timm/<name> for one of timm's own")
    command.add_argument("--bench", choices=["inference", "train", "both"], default="inference")
    command.add_argument("--forms", nargs="+", choices=["as is", "optimized", "compiled"], default=["as is", "optimized"])
    command.add_argument("--batch-size", type=_positive, default=8)
    command.add_argument("--in-chans", type=_positive, default=0, help="for all of them (default: each model's own)")
    command.add_argument("--rounds", type=_positive, default=7, help="medians and quartiles are over these (default 7)")
    command.add_argument("--no-memory", action="store_true", help="leave peak memory out; saves some seconds a model")
    command.add_argument("--out", type=Path, metavar="CSV", help="write all columns, and the printed table beside it as .md")
    _run_options(command, "auto")

    command = _add(commands, "demo", run_demo, "render a synthetic cell and classify it with the packaged weights")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--bend", type=float, default=40, help="degrees of turn from end to end at most (default 40)")
    command.add_argument("--noise", type=float, default=0.02, help="of full scale (default 0.02)")
    command.add_argument("--out", type=Path, default=Path("demo.png"), metavar="PNG")
    return parser


def _version() -> str:
    from gricol_zoo import __version__

    return __version__


def _add(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    return command


def _data_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", required=True, metavar="D", help="a zip, a folder or a CSV")
    command.add_argument("--layout", default="auto", help="of the data (default: auto)")


def _model_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", default="", metavar="NAME", help="a name with weights, or a folder of `train` (default: packaged)"
    )


def _run_options(command: argparse.ArgumentParser, dtype: str = "fp32") -> None:
    command.add_argument(
        "--dtype", choices=["auto", "fp32", "bf16"], default=dtype, help=f"auto: bf16 where there is any (default: {dtype})"
    )
    command.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, but got {number}")
    return number


_positive.__name__ = "whole number"  # what argparse calls it in messages


def load_model(name: str, device: str = "cpu", deployed: bool = False) -> GridModel | DeployedModel:
    """Load a model with its weights by name, or from a folder.

    Raises:
        GricolZooError: unknown, without weights, or a device that is not there.
    """
    import torch

    from gricol_zoo.factory import create_model
    from gricol_zoo.presets import DEFAULT_MODEL

    name = name or DEFAULT_MODEL
    model = create_model(f"local-dir:{name}" if Path(name).is_dir() else name, pretrained=True, deployed=deployed)
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise GricolZooError(f"The device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error


def run_list(options: argparse.Namespace) -> int:
    """``list``."""
    from gricol_zoo.factory import list_models

    for name in list_models(options.pattern, options.pretrained):
        print(name)
    return DONE


def run_info(options: argparse.Namespace) -> int:
    """``info``."""
    from gricol_zoo.info import describe, format_info

    print(format_info(describe(options.name), options.format))
    return DONE


def run_predict(options: argparse.Namespace) -> int:
    """``predict``."""
    from tqdm import tqdm

    from gricol_zoo.predict import open_paths, write_predictions

    sets = open_paths(options.paths)
    model = load_model(options.model, options.device, deployed=True)
    total, failed, review = sum(map(len, sets)), 0, 0
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="", encoding="utf-8") as stream, tqdm(total=total, unit="image") as bar:
        for rows in write_predictions(model, sets, stream, options.batch_size, options.dtype, options.workers):
            failed += sum(bool(row["error"]) for row in rows)
            review += sum(row["review"] == 1 for row in rows)
            bar.update(len(rows))
    print(f"{total} images, {review} to review, {failed} could not be read; rows in {options.out}", file=sys.stderr)
    return DONE


def run_validate(options: argparse.Namespace) -> int:
    """``validate``."""
    from gricol_zoo.data.readers import open_images
    from gricol_zoo.data.split import apply_split, check_leaks, read_split
    from gricol_zoo.evaluate import evaluate, write_report

    images = open_images(options.data, options.layout)
    part, split = "all", ""
    if options.split:
        parts = apply_split(images, read_split(options.split))
        check_leaks(parts)
        part, split, images = options.part, options.split.name, parts[options.part]
        if not len(images):
            raise GricolZooError(f"The {part} part of {options.split} is empty.")
    model = load_model(options.model, options.device, deployed=not options.full)
    name = options.model or _default_name()
    report, _ = evaluate(
        model,
        images,
        name=name,
        weights_sha256=str(model.info.get("sha256", "")),
        split=split,
        part=part,
        dtype=options.dtype,
        full=options.full,
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_report(report, options.out)
    low, high = report["accuracy_ci95"] or (float("nan"), float("nan"))
    print(
        f"{name} on {images.name} ({part}): accuracy {report['accuracy']:.4f} "
        f"(95 % by case or cell: {low:.4f} to {high:.4f}), {report['images']} images of {report['cells']} cells, "
        f"{report['perfect_cells']} of them without an error"
    )
    if report["seen_in_training"]:
        print(f"{report['seen_in_training']} of these images come from cells the weights were trained on", file=sys.stderr)
    return DONE


def _default_name() -> str:
    from gricol_zoo.presets import DEFAULT_MODEL

    return DEFAULT_MODEL


def run_train(options: argparse.Namespace) -> int:
    """``train``."""
    from gricol_zoo.data.readers import open_images
    from gricol_zoo.data.split import read_split, split_for
    from gricol_zoo.names import parse_model_name
    from gricol_zoo.presets import MODELS
    from gricol_zoo.recipes import get_recipe
    from gricol_zoo.train import train

    recipe = get_recipe(options.recipe, epochs=options.epochs, seed=options.seed)
    MODELS.get(parse_model_name(options.model).arch)  # a misspelt name is said before the data are read
    images = open_images(options.data, options.layout)
    for note in images.notes:
        print(note, file=sys.stderr)
    if options.split:
        split, name = read_split(options.split), options.split.name
    else:
        images, split, name = split_for(images, recipe.seed)
        print(f"no --split given: {name}", file=sys.stderr)
    train(
        images,
        split,
        options.model,
        recipe,
        options.out,
        init=options.init,
        resume=options.resume,
        time_limit=options.time_limit,
        device=options.device,
        checkpoint_every=options.checkpoint_every,
        split_name=name,
        grad_checkpointing=options.grad_checkpointing,
        compile=options.compile,
    )
    return DONE


def run_benchmark(options: argparse.Namespace) -> int:
    """``benchmark``."""
    from gricol_zoo.benchmark.models import Subject
    from gricol_zoo.benchmark.table import INFER, TRAIN, benchmark, to_csv, to_markdown
    from gricol_zoo.precision import choose_dtype

    kinds = {"inference": [INFER], "train": [TRAIN], "both": [INFER, TRAIN]}[options.bench]
    dtype = choose_dtype(options.dtype, options.device)
    subjects = [
        Subject(name, form, dtype, options.in_chans, options.device) for name in options.names for form in options.forms
    ]
    rows = benchmark(subjects, kinds, options.batch_size, options.rounds, not options.no_memory)
    table = to_markdown(rows)
    print(table, end="")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(to_csv(rows), encoding="utf-8")
        options.out.with_suffix(".md").write_text(table, encoding="utf-8")
    return DONE


def run_demo(options: argparse.Namespace) -> int:
    """``demo``."""
    from gricol_zoo.demo import demo

    print(demo(options.seed, options.bend, options.noise, options.out))
    return DONE
