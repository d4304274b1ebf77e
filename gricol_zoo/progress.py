"""Progress output and graceful shutdown of long runs.

The library logs its progress as ``gricol_zoo``, level INFO; the command line shows that on stderr (``show_progress``).
"""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from gricol_zoo.files import escaped

LOGGER = logging.getLogger("gricol_zoo")


class ToStderr(logging.Handler):
    """Print the bare message, on what is ``sys.stderr`` at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        print(record.getMessage(), file=sys.stderr, flush=True)


def show_progress() -> None:
    """Show what the library logs, from INFO up, on stderr; as the commands do."""
    LOGGER.setLevel(logging.INFO)
    if not any(isinstance(handler, ToStderr) for handler in LOGGER.handlers):
        LOGGER.addHandler(ToStderr())


class Plain:
    r"""A text stream to a person: control characters are written out, but for line ends, tabs, and the \r of a progress bar.

    Args:
        stream: where it goes; whatever else a stream has is its own.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    @classmethod
    def of(cls, stream: Any) -> Any:
        """Return the stream, made plain where it is not yet."""
        return stream if stream is None or isinstance(stream, cls) else cls(stream)

    def write(self, text: str) -> int:
        """Write text."""
        begin, end = (len(text) - len(text.lstrip("\r")), len(text.rstrip("\r")))
        parts = re.split(r"(\r?\n|\t)", text[begin:end])
        plain = "".join(part if index % 2 else escaped(part) for index, part in enumerate(parts))
        self.stream.write("\r" * begin + plain + text[max(begin, end) :])
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Stop:
    """Set by SIGTERM or SIGINT, to be looked at between steps."""

    is_set = False


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Give a flag that SIGTERM and SIGINT set instead of ending the process; afterwards they do as before."""
    stop = Stop()

    def handle(number: int, frame: Any) -> None:
        stop.is_set = True

    try:
        before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:
        before = {}  # not in the main thread: signals stay as they are
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def peak_memory(device: Any) -> int:
    """Return the most memory, in bytes, that this process has held: on the GPU for one, else resident."""
    if getattr(device, "type", str(device)) == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Speaker:
    """Log progress, from the main process alone."""

    def __init__(self, aloud: bool) -> None:
        self.aloud = aloud

    def __call__(self, line: str) -> None:
        """Log a line."""
        if self.aloud:
            LOGGER.info(line)

    def bar(self, total: int, title: str, initial: int) -> Any:
        """Return a progress bar, which shows only on a terminal."""
        from tqdm import tqdm

        quiet = not self.aloud or not sys.stderr.isatty()
        return tqdm(total=total, desc=title, initial=initial, file=sys.stderr, leave=False, disable=quiet)
