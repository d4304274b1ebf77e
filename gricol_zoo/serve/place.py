"""Where uploads are kept, and their deletion: with the tab, with the server, and even after a server was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX, LOCK, UPLOADS, SESSIONS = "gricol-zoo-", ".lock", "uploads", "sessions"
LEFT = 180.0  # seconds after which an upload that no session has taken is deleted
STEP = 15.0  # seconds between two checks
FRESH = 60.0  # seconds within which a new folder may not have its lock yet


@contextlib.contextmanager
def own_place() -> Iterator[Path]:
    """Yield a folder with subfolders for uploads and sessions; delete it at the end, and at the start those of dead servers."""
    clear_dead(Path(tempfile.gettempdir()))
    place = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = FileLock(place / LOCK)
    lock.acquire()  # the system releases it however the process ends
    over = threading.Event()
    try:
        for name in (UPLOADS, SESSIONS):
            (place / name).mkdir()
        threading.Thread(target=_sweep_on, args=(place / UPLOADS, over), daemon=True).start()
        yield place
    finally:
        over.set()
        lock.release()
        shutil.rmtree(place, ignore_errors=True)


def clear_dead(folder: Path) -> None:
    """Delete the folders of servers that were killed: this user's folders whose lock nobody holds."""
    for place in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            state = place.lstat()
            if place.is_symlink() or not place.is_dir() or (hasattr(os, "getuid") and state.st_uid != os.getuid()):
                continue
            if not (place / LOCK).is_file() and time.time() - state.st_mtime < FRESH:
                continue
            with FileLock(place / LOCK, timeout=0):
                pass
            shutil.rmtree(place, ignore_errors=True)


def _sweep_on(uploads: Path, over: threading.Event) -> None:
    while not over.wait(STEP):
        sweep(uploads)


def sweep(uploads: Path, left: float = LEFT) -> None:
    """Delete uploads, complete or not, that have not changed for ``left`` seconds: no session has taken them."""
    for file in uploads.rglob("*"):
        with contextlib.suppress(OSError):
            if time.time() - file.lstat().st_mtime > left:
                if file.is_dir() and not file.is_symlink():
                    file.rmdir()  # only if it is empty
                else:
                    file.unlink()
