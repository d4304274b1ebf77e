"""Released weights that are not in the package but in a clone of the repository: found by a hint, verified by their hash.

``pip install .`` copies the package out of a clone, but records where that was (``direct_url.json``); ``pip install -e .``
leaves the package in it. Either folder may have been moved, deleted or changed since. So a file is used only if it has the
size and SHA-256 that this package pins.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from gricol_zoo.files import file_sha256
from gricol_zoo.models.presets import Weights
from gricol_zoo.weights.config import CONFIG_FILE
from gricol_zoo.weights.source import WEIGHTS_FILE

PACKAGE = Path(__file__).parent.parent
STAGED = "hub"


def checkouts() -> list[Path]:
    """Return the folders that may be a clone: the one around the package, and the one that pip installed from."""
    installed = installed_from()
    found = [PACKAGE.parent, *([installed] if installed else [])]
    return [folder for folder in dict.fromkeys(found) if (folder / STAGED).is_dir()]


def installed_from() -> Path | None:
    """Return the folder that pip installed this package from, if it says so; None for a wheel, an archive or an index."""
    try:
        record: Any = json.loads(distribution("gricol_zoo").read_text("direct_url.json") or "null")
    except (PackageNotFoundError, OSError, ValueError):
        return None
    if not isinstance(record, dict) or "dir_info" not in record or not isinstance(record.get("url"), str):
        return None
    parts = urlsplit(record["url"])
    return Path(url2pathname(parts.path)) if parts.scheme == "file" and parts.netloc in ("", "localhost") else None


def find_in_checkout(name: str, weights: Weights) -> Path | None:
    """Return the folder of released weights in a clone, ``hub/NAME.TAG``; None if no clone has the pinned bytes."""
    folders = (checkout / STAGED / name for checkout in checkouts())
    return next((folder for folder in folders if _is_pinned(folder, weights)), None)


def _is_pinned(folder: Path, weights: Weights) -> bool:
    file = folder / WEIGHTS_FILE
    try:
        whole = (folder / CONFIG_FILE).is_file() and file.stat().st_size == weights.size
        return whole and file_sha256(file) == weights.sha256
    except OSError:
        return False
