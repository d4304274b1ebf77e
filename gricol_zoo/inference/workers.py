"""Batches side by side: one worker per core, each of which takes its batch all the way from file to result.

A convolution split over cores waits for the slowest of them at every layer, and while files are read the cores idle. With
one batch per core neither happens: reading, decoding and resizing of one batch overlap with the network on another.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")


class _Threads:
    """Whether torch's threads have worked in this process.

    A forked child has none of them, and would wait for them forever. So it gets one thread, its own; a spawned child has all
    of them.
    """

    used = False

    @classmethod
    def after_fork(cls) -> None:
        if cls.used:
            torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Threads.after_fork)


def usable_cores(quota_file: Path = QUOTA_FILE) -> int:
    """Return how many cores this process may use: by its affinity and a container's quota (cgroup v2), rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = quota_file.read_text().split()  # "max 100000" has no quota: ValueError
        cores = min(cores, -(-int(quota) // int(period)))
    return max(1, cores)


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], workers: int = 0) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in order. At most two items per worker are in progress, so memory stays flat.

    Torch's own threads are divided among the workers, and restored at the end. A single item, or one worker, runs
    in the calling thread with all of them.

    Args:
        work: must not depend on which thread runs it.
        items: taken one by one, in the calling thread.
        workers: number of workers; 0 takes one per usable core, but no more than torch has threads (``OMP_NUM_THREADS``).
    """
    _Threads.used = True
    cores = min(usable_cores(), torch.get_num_threads())
    workers = workers or cores
    items = iter(items)
    first = list(islice(items, 2))
    if workers == 1 or len(first) < 2:
        yield from map(work, first)
        yield from map(work, items)
        return
    before = torch.get_num_threads()
    share = max(1, cores // workers)
    pool = ThreadPoolExecutor(workers, "gricol-zoo", initializer=torch.set_num_threads, initargs=(share,))
    waiting: deque[Future[Result]] = deque()
    try:
        waiting.extend(pool.submit(work, item) for item in first)
        for item in items:
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)
