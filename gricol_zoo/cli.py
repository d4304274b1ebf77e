"""``gricol-zoo``: the commands in ``gricol_zoo.commands``, one module each.

Exit status: 0, done; 2, a mistake of the user (one line on stderr, no traceback); 75, training was stopped before its end and
can be resumed (``commands.common.STOPPED``); 1, anything else. Progress goes to stderr. Nothing heavy is imported before the
arguments are read, so ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn, TextIO

from gricol_zoo.commands.common import in_words, warn
from gricol_zoo.commands.kinds import check_options
from gricol_zoo.commands.output import check_output
from gricol_zoo.errors import GricolZooError, QualityWarning
from gricol_zoo.inference.variables import changing_variables
from gricol_zoo.progress import Plain, show_progress

COMMANDS = (
    "list",
    "info",
    "predict",
    "validate",
    "karyotype",
    "report",
    "verify",
    "sign",
    "explain",
    "embed",
    "export",
    "serve",
    "train",
    "crossval",
    "compare",
    "benchmark",
    "demo",
)
DONE, OTHER, MISTAKE = 0, 1, 2
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # errors of writing to an open file; they carry no file name
MISTAKEN = (PermissionError, IsADirectoryError, NotADirectoryError, FileNotFoundError, FileExistsError)
MISTAKEN_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)
_SHOW_WARNING = warnings.showwarning
EXTRA_OF = {
    "accelerate": "train",
    "sklearn": "train",
    "matplotlib": "viz",
    "gradio": "serve",
    "cryptography": "sign",
    **dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), "export"),
}


class _Parser(argparse.ArgumentParser):
    """Report a wrong argument in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISTAKE, f"{self.prog}: {message}. See {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Control characters from files and configs are escaped when printed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the code page cannot encode must not stop a run
            _outlive_reader(stream)
    with contextlib.redirect_stdout(Plain.of(sys.stdout)), contextlib.redirect_stderr(Plain.of(sys.stderr)):
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    warnings.showwarning = _show_warning
    show_progress()
    warnings.simplefilter("always", QualityWarning)
    try:
        check_options(options.command, options)
        check_output(options)
        for name, value in changing_variables().items():
            warn(f"{name}={value} is set, which changes results; the output records it")
        return int(options.run(options))
    except GricolZooError as error:
        return _mistake(str(error))
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get(error.name or "")
        if extra is None:
            raise
        return _mistake(f"this command needs {error.name}: pip install 'gricol_zoo[{extra}]'")
    except BrokenPipeError:
        return DONE  # --out is a pipe whose reader has gone: nothing left to report
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        _mistake(in_words(error, getattr(options, "out", None)))
        return MISTAKE if isinstance(error, MISTAKEN) or error.errno in MISTAKEN_NAMES else OTHER  # else not the user's mistake
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return OTHER


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, QualityWarning):
        from tqdm import tqdm

        tqdm.write(f"warning: {' '.join(str(message).split())}", file=sys.stderr)  # above a progress bar, if there is one
    else:
        _SHOW_WARNING(message, category, filename, lineno, file, line)


def _outlive_reader(stream: io.TextIOWrapper) -> None:
    """Let a run continue after the reader of its output has closed the pipe (`| head`), as it does with output to a file."""
    if "write" in vars(stream):
        return  # already wrapped
    write, flush = stream.write, stream.flush

    def to_nobody() -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    def write_or_not(text: str) -> int:
        try:
            return write(text)
        except BrokenPipeError:
            to_nobody()
            return len(text)

    def flush_or_not() -> None:
        try:
            flush()
        except BrokenPipeError:
            to_nobody()

    stream.write, stream.flush = write_or_not, flush_or_not  # type: ignore[method-assign]


def _mistake(message: str) -> int:
    print(f"gricol-zoo: {' '.join(message.split())}", file=sys.stderr)
    return MISTAKE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="gricol-zoo", description="A model zoo for chromosome classification by grid reconstruction learning."
    )
    parser.add_argument("--version", action="version", version=f"gricol-zoo {_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    for name in COMMANDS:
        module = importlib.import_module(f"gricol_zoo.commands.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        command.set_defaults(run=module.run, command=command)
        module.add_options(command)
    return parser


def _version() -> str:
    from gricol_zoo import __version__

    return __version__
