"""Files: written all at once, and known by their hashes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def write_atomically(file: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash, or a full disk, leaves the old one or the new one, never a part.

    Raises:
        OSError: it could not be written (the file is named); what was there before is whole.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, f"{error.strerror}; what was there before is whole", str(file)) from error


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file, as 64 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def git_blob_sha1(file: Path) -> str:
    """Return what git calls a file's content, as 40 hex digits: the ETag that the Hub gives for small files."""
    data = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
