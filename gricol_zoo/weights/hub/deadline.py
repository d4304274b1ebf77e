"""A time limit for downloads: the client limits only the time between two bytes, so a slow trickle would never end."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")
MIN_SECONDS = 30.0  # seconds for any file, retries included
RATE = 100_000  # bytes per second that a connection must deliver beyond that


class _StopError(BaseException):
    """Raised inside a download that is no longer waited for."""


def seconds_for(size: int) -> float:
    """Return how many seconds a file of ``size`` bytes may take."""
    return MIN_SECONDS + size / RATE


def within(seconds: float, action: Callable[[], T]) -> T:
    """Run ``action`` in another thread and return its result; stop it when the time is over.

    Raises:
        TimeoutError: it did not finish in time.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            done.append(action())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=copy_context().run, args=(work,), daemon=True, name="gricol-zoo download")
    thread.start()
    try:
        thread.join(seconds)
    finally:
        if thread.is_alive():  # out of time, or Ctrl-C: it ends at the next byte, or at the client's own time limit
            assert thread.ident is not None
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_StopError))
    if done:
        return done[0]
    if failed:
        raise failed[0]
    raise TimeoutError
