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
    """Print the bare message to whatever ``sys.stderr`` is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        print(record.getMessage(), file=sys.stderr, flush=True)


def show_progress() -> None:
    """Show the library's log messages (INFO and above) on stderr, as the commands do."""
    LOGGER.setLevel(logging.INFO)
    if not any(isinstance(handler, ToStderr) for handler in LOGGER.handlers):
        LOGGER.addHandler(ToStderr())


class Plain:
    r"""A text stream for people: control characters are escaped, except line ends, tabs and the \r of a progress bar.

    Args:
        stream: the stream to write to; all its other attributes are available too.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    @classmethod
    def of(cls, stream: Any) -> Any:
        """Return the stream, wrapped unless it is wrapped already or None."""
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
    """A flag that SIGTERM and SIGINT set; a run checks it between steps."""

    is_set = False


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Yield a flag that SIGTERM and SIGINT set instead of ending the process; afterwards the old handlers are restored."""
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
    """Return the peak memory of this process in bytes: allocated on the GPU for one, else resident (0 on Windows)."""
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
    """Log progress, from the main process only (``aloud``)."""

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
