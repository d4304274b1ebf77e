"""Progress output and graceful shutdown."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Any


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
    """Print progress on stderr, from the main process alone."""

    def __init__(self, aloud: bool) -> None:
        self.aloud = aloud

    def __call__(self, line: str) -> None:
        """Print a line."""
        if self.aloud:
            print(line, file=sys.stderr, flush=True)

    def bar(self, total: int, title: str, initial: int) -> Any:
        """Return a progress bar, which shows only on a terminal."""
        from tqdm import tqdm

        quiet = not self.aloud or not sys.stderr.isatty()
        return tqdm(total=total, desc=title, initial=initial, file=sys.stderr, leave=False, disable=quiet)
