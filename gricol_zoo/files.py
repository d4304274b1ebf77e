"""Files: written all at once, JSON read and written in one way, and files known by their hashes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gricol_zoo.errors import ConfigError

MOST_JSON = 1 << 28  # bytes of a JSON file; parsed it takes some ten times as much memory

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def write_atomically(file: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash, or a full disk, leaves the old one or the new one, never a part.

    Raises:
        OSError: it could not be written (the file is named); the previous file is unchanged.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, f"{error.strerror}; the previous file is unchanged", str(file)) from error


def read_json(file: Path, what: str, most: int = MOST_JSON) -> Any:
    """Read a JSON file, which a person may have edited.

    Args:
        file: in UTF-8.
        what: what a file of this kind is called, with its article.
        most: bytes that one has.

    Raises:
        ConfigError: too large, not JSON, or a key stands in it twice.
        OSError: it cannot be read.
    """
    size = file.stat().st_size
    if size > most:
        raise ConfigError(f"Expected {what} of at most {most} bytes, but {file} has {size}.")
    try:
        return json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid JSON: {error} (a manual edit may have dropped a comma or quote).") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:100]!r} occurs twice")
    return values


def write_json(file: Path, data: Any, sort_keys: bool = False) -> None:
    """Write data as a JSON file, all at once; errors as for ``write_atomically``."""
    write_atomically(file, (json.dumps(data, indent=2, sort_keys=sort_keys) + "\n").encode())


def what_differs(found: Any, wanted: Mapping[str, Any]) -> str:
    """Say where what was found, read from JSON, is not what is wanted: "its recipe is lr 0.1, not 0.2"; "" where it is."""
    for key, value in json.loads(json.dumps(wanted)).items():
        there = found.get(key) if isinstance(found, dict) else None
        if there != value:
            return f"its {key} is {_difference(there, value)}"
    return ""


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in wanted:
            if found.get(key) != wanted[key]:
                return f"{key} {_difference(found.get(key), wanted[key])}"
    return f"{found!r}, not {wanted!r}"


def escaped(text: str) -> str:
    r"""Return text for people: what steers a terminal or turns the reading direction is written out, such as \x1b.

    So are line ends and bytes of a file's name that are not UTF-8 (\udcXX): a name is one line, and can be written.
    """
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file, as 64 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def git_blob_sha1(file: Path) -> str:
    """Return what git calls a file's content, as 40 hex digits: the ETag that the Hub gives for small files."""
    data = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
