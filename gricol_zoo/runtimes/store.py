"""The cache of networks for other runtimes: one ONNX file per network, with the records of its checks beside it.

The folder is ``runtimes`` in ``$GRICOL_ZOO_CACHE``, or in ``gricol_zoo`` in the user's cache folder. A file's name is the hash
of everything that it was made from, so no file becomes outdated; all files can be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn

from gricol_zoo.errors import CacheError, GricolZooError
from gricol_zoo.export.int8 import quantize
from gricol_zoo.export.write import OPSET, quiet, write_onnx
from gricol_zoo.models.deployed import DeployedModel

FORMAT = "2"  # version of the written graph; if it changes, all files are written again
VARIABLE = "GRICOL_ZOO_CACHE"


def folder() -> Path:
    """Return the folder, created if needed.

    Raises:
        CacheError: it cannot be written to.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = Path(os.environ.get(VARIABLE) or home / "gricol_zoo") / "runtimes"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return place
    except OSError as error:
        raise CacheError(
            f"Networks for other runtimes are kept in {place}, which cannot be written ({error.strerror}). Set {VARIABLE} to a "
            "writable folder, or use the runtime torch."
        ) from error


def digest_of(model: DeployedModel) -> str:
    """Return the hash of all that a file is made from: every tensor, the network's parts and sizes, and the versions."""
    from gricol_zoo import __version__

    spec = {key: value for key, value in model.spec.to_dict().items() if key not in ("preprocess", "class_names")}
    said = hashlib.sha256(json.dumps([FORMAT, OPSET, __version__, torch.__version__, spec], sort_keys=True).encode())
    for key, tensor in sorted(model.state_dict().items()):
        said.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        said.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return said.hexdigest()[:40]


def hash_of(file: Path) -> str:
    """Return the SHA-256 of a file in hex, "" if there is none."""
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_vouched_for(file: Path) -> bool:
    """Return whether a network's file exists and is one that passed a check."""
    checked = {read_record(note).get("sha256", "") for note in file.parent.glob(f"{file.stem}.*.json")}
    return hash_of(file) in checked - {""}


@cache
def processor() -> str:
    """Return a name of the processor and its abilities, because results on one are not valid for another."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        known = dict(re.findall(r"^(\w[\w ]*?)\s*: (.*)$", text, re.MULTILINE))
        abilities = hashlib.sha256((known.get("flags") or known.get("Features") or "").encode()).hexdigest()
        return f"{known.get('model name', name)} {abilities[:8]}"
    return name


class Portable(nn.Module):
    """(B, C, H, W) images as the model takes them -> logits, and with polarity the probability that the short arm is up."""

    def __init__(self, net: DeployedModel) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(B, C, H, W) -> (B, classes), or that and (B,)."""
        return self.net.both(images) if self.net.polarity else self.net(images)


def write_network(model: DeployedModel, file: Path) -> None:
    """Write a model's lower branch as an ONNX file for any batch size; errors as for ``write_graph``."""
    names = ["logits", "short_arm_up"] if model.polarity else ["logits"]
    images = torch.zeros(2, model.in_chans, *model.spec.image_size)
    write_graph(Portable(model), images, names, file, model.name or "This model")


def write_graph(net: nn.Module, images: Tensor, names: list[str], file: Path, name: str) -> None:
    """Write a network as an ONNX file for any batch size, atomically.

    Args:
        net: in evaluation mode, (B, C, H, W) -> a tensor, or a tuple of them.
        images: an example, with B = 2.
        names: names of the outputs.
        file: the file to write.
        name: name of the network, for messages.

    Raises:
        GricolZooError: the exporter is not installed, or cannot write this network.
    """
    made = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(net, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False)
        write_onnx(program, made, {"inputs": json.dumps(["images"]), "outputs": json.dumps(names)})
        made.replace(file)
    except ImportError as error:
        raise GricolZooError(
            f"Another runtime needs the package {error.name}. Run: pip install 'gricol_zoo[export]', or use the runtime torch."
        ) from error
    except Exception as error:  # any error that a third party's part may cause
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise GricolZooError(f"{name} cannot be written for another runtime: {reason}") from error
    finally:
        made.unlink(missing_ok=True)


def write_int8(plain: Path, file: Path, images: np.ndarray) -> None:
    """Quantize a network's fp32 file to 8 bits (``gricol_zoo.export.int8``), atomically.

    Args:
        plain: the fp32 file.
        file: the file to write.
        images: (n, C, H, W) float32 as the network takes them, whose activations set the scales.

    Raises:
        GricolZooError: ONNX Runtime is not installed.
    """
    made = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        quantize(plain, made, images)
        made.replace(file)
    except ImportError as error:
        raise GricolZooError(
            f"int8 needs the package {error.name}. Run: pip install 'gricol_zoo[export]', or use another --dtype."
        ) from error
    finally:
        made.unlink(missing_ok=True)


def read_record(file: Path) -> dict[str, Any]:
    """Return the record of a check; empty if there is none or it cannot be read."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(file: Path, record: dict[str, Any]) -> None:
    """Write the record of a check, atomically."""
    made = file.with_suffix(f".{os.getpid()}.tmp")
    made.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    made.replace(file)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep other processes from writing the same file meanwhile."""
    with FileLock(file.with_suffix(".lock")):
        yield
