"""Time several steps in turn, and measure the peak memory of one."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

Step = Callable[[], Any]
Key = TypeVar("Key", bound=Hashable)


class Spread(NamedTuple):
    """Seconds per step: median, lower and upper quartile over the rounds, and the number of rounds."""

    median: float
    low: float
    high: float
    rounds: int


def time_in_turn(steps: Mapping[Key, Step], rounds: int = 7, warm_up: int = 2, minimum: float = 0.1) -> dict[Key, Spread]:
    """Time every step once per round, so that a machine that slows down affects all steps alike.

    Args:
        steps: name -> step; a step must wait for the device to finish.
        rounds: number of rounds.
        warm_up: runs of each step before the first round, not counted.
        minimum: seconds; a shorter step is repeated within each round to take about this long.
    """
    repeats = {}
    for name, step in steps.items():
        for _ in range(warm_up):
            started = time.perf_counter()
            step()
            last = time.perf_counter() - started
        repeats[name] = max(1, round(minimum / max(last, 1e-6))) if warm_up else 1
    seconds: dict[Key, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            for _ in range(repeats[name]):
                step()
            seconds[name].append((time.perf_counter() - started) / repeats[name])
    return {name: spread(values) for name, values in seconds.items()}


def spread(seconds: list[float]) -> Spread:
    """Return the median, the quartiles and the number of the given times."""
    low, median, high = np.percentile(seconds, [25, 50, 75])
    return Spread(float(median), float(low), float(high), len(seconds))


def finish(device: torch.device) -> None:
    """Wait until a GPU has finished its work; do nothing for other devices."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory_of(make: Callable[..., Step], *arguments: Any, device: str = "cpu") -> float:
    """Return the peak memory of a step in MiB, beyond what is in use once it is made (weights, inputs, libraries).

    On the CPU this is resident memory, measured in a separate process (Linux only; NaN elsewhere, or if the process is
    killed). On a GPU it is the memory that torch allocates.

    Args:
        make: a function at module level that returns the step.
        arguments: its arguments; on the CPU they are pickled and sent to the process.
        device: where the step computes.
    """
    if device != "cpu":
        return _peak_here(make, arguments, device)
    context = multiprocessing.get_context("spawn")  # a fresh process, which shares no memory with this one
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_tell_peak, args=(theirs, make, arguments, torch.get_num_threads()))
    child.start()
    theirs.close()
    try:
        return float(ours.recv())
    except EOFError:
        return float("nan")  # it was killed, most likely because memory ran out
    finally:
        child.join()


def _tell_peak(pipe: Any, make: Callable[..., Step], arguments: tuple[Any, ...], threads: int) -> None:
    torch.set_num_threads(threads)
    pipe.send(_peak_here(make, arguments, "cpu"))


def _peak_here(make: Callable[..., Step], arguments: tuple[Any, ...], device: str) -> float:
    step = make(*arguments)
    if device != "cpu":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # else the step could use free pages left from making it, which would not count
    try:
        before = _status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak to the current resident memory
        step()
        step()
        return (_status("VmHWM") - before) / 2**10
    except OSError:
        return float("nan")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
