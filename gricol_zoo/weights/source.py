"""Where weights are: in a folder, in the package, or on the Hub. Weights are read and verified only when they are opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gricol_zoo.errors import CheckpointError
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.spec import ModelSpec
from gricol_zoo.weights.config import CONFIG_FILE, read_config
from gricol_zoo.weights.pixels import read_pixels

WEIGHTS_FILE = "model.safetensors"
SIGNATURE_FILE = "signature.json"


@dataclass(frozen=True)
class Source:
    """A model to build and where its weights are.

    Attributes:
        name: the registered name.
        spec: what to build.
        open: function that returns the path of model.safetensors, downloading it if needed; None without weights.
        info: the ``gricol_zoo`` key of config.json, with the file's SHA-256 and its size in bytes.
        tag: the weights' tag, if they have one.
        pinned: whether the hash comes with this package, so that file and config are ours.
        ref: "org/repo@commit" of weights on the Hub.
        pixels: function that returns the bytes of pixels.bin (``gricol_zoo.weights.pixels``), downloading it if needed; it
            returns None if there is none.
        config_file: config.json; None without weights.
        signature: function that returns the path of signature.json, downloading it if needed.
    """

    name: str
    spec: ModelSpec
    open: Callable[[], Path] | None = None
    info: WeightsInfo = field(default_factory=WeightsInfo)
    tag: str = ""
    pinned: bool = False
    ref: str = ""
    pixels: Callable[[], bytes | None] = lambda: None
    config_file: Path | None = None
    signature: Callable[[], Path] = lambda: Path(SIGNATURE_FILE)


def find_in_dir(folder: str | Path) -> Source:
    """Read a folder written by ``save_pretrained`` or by ``gricol-zoo train``.

    Raises:
        CheckpointError: no such folder, or a file is missing.
        ConfigError: the config is not one of this zoo's.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"No such folder: {str(folder)!r}. Expected one with {CONFIG_FILE} and {WEIGHTS_FILE}.")
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{str(folder)!r} has no {name}. Expected a folder written by `save_pretrained` or `gricol-zoo train`."
            )
    return read_source(folder / CONFIG_FILE, lambda name, _size, _sha256: folder / name, lambda: folder / SIGNATURE_FILE)


def find_file(name: str, path: str | Path) -> Source:
    """Read the weights of a model from their file, or from its folder.

    Args:
        name: the registered name of the model that they must belong to.
        path: path of model.safetensors, with config.json beside it, or of the folder.

    Raises:
        CheckpointError: not there, or of another model.
    """
    file = Path(path)
    if file.name != WEIGHTS_FILE and not file.is_dir():
        raise CheckpointError(
            f"Expected a {WEIGHTS_FILE} with its {CONFIG_FILE} beside it, or their folder, but got {str(path)!r}."
        )
    source = find_in_dir(file.parent if file.name == WEIGHTS_FILE else file)
    return check_name(source, name, str(path))


def check_name(source: Source, name: str, place: str) -> Source:
    """Return the source if it is of the model ``name``.

    Raises:
        CheckpointError: it is of another model.
    """
    if source.name != name:
        raise CheckpointError(f"{place} holds weights of {source.name!r}, not of {name!r}. Create that model, or give others.")
    return source


def read_source(
    config_file: Path, open: Callable[[str, int, str], Path], signature: Callable[[], Path], ref: str = ""
) -> Source:
    """Make a source from a config.json and a function that gets the files beside it, by name, size and SHA-256."""
    config = read_config(config_file)
    info = config.info
    return Source(
        config.name,
        config.spec,
        partial(open, WEIGHTS_FILE, info.size, info.sha256),
        info,
        ref=ref,
        pixels=partial(read_pixels, open, info),
        config_file=config_file,
        signature=signature,
    )
