"""Saving, finding and loading weights: safetensors and a config, in a folder, in the package or on the Hub.

``config.json`` has timm's root keys (so timm loads the same folder) and our own key ``gricol_zoo``, which rebuilds the
model and holds its preprocessing, calibration and training record. Weights never load without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gricol_zoo.deployed import DeployedModel
from gricol_zoo.errors import CheckpointError
from gricol_zoo.lower import GRID_KEYS, LowerBranch
from gricol_zoo.presets import MODELS, Weights
from gricol_zoo.spec import ModelSpec, from_mapping

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
FORMAT = 1
GRID_FIELDS = ("splitter", "head", "grid", "cell_norm", "splitter_options", "head_options")
MAX_CONFIG_BYTES = 1 << 20
ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Source:
    """A model to build and where its weights are.

    Attributes:
        name: the registered name.
        spec: what to build.
        file: model.safetensors, None without weights.
        info: the ``gricol_zoo`` key of config.json.
        sha256: what the file must hash to.
        tag: the weights' tag, if they have one.
    """

    name: str
    spec: ModelSpec
    file: Path | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    tag: str = ""


class LoadReport(NamedTuple):
    """What became of each tensor: taken as it is, changed to fit ``in_chans``, or started anew for ``num_classes``."""

    kept: list[str]
    adapted: list[str]
    new: list[str]


def find_in_dir(folder: str | Path) -> Source:
    """Read a folder written by ``save_pretrained`` or by ``gricol-zoo train``.

    Raises:
        CheckpointError: no such folder, a file is missing, or the config is not one of this zoo's.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"No folder {str(folder)!r}. Expected one with {CONFIG_FILE} and {WEIGHTS_FILE}.")
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{str(folder)!r} has no {name}. Expected a folder written by `save_pretrained` or `gricol-zoo train`."
            )
    return _source(folder / CONFIG_FILE, folder / WEIGHTS_FILE)


def find_in_table(name: str, tag: str, weights: Weights) -> Source:
    """Find released weights: in the package, else in the Hub's cache, else on the Hub at the pinned commit."""
    if weights.packaged:
        source = find_in_dir(ASSETS / f"{name}.{tag}")
    elif weights.revision:
        source = find_on_hub(weights.repo, weights.revision)
    else:
        raise CheckpointError(
            f"The weights {name}.{tag} are not in the package and have not been uploaded yet. "
            f"They are in the repository: `local-dir:hub/{name}.{tag}` loads them from a clone."
        )
    return Source(name, source.spec, source.file, source.info, weights.sha256, tag)


def find_on_hub(
    repo: str, revision: str = "", cache_dir: str | None = None, token: str | None = None, local_files_only: bool = False
) -> Source:
    """Download (or take from the cache) config and weights of one commit of a Hub repository.

    Raises:
        CheckpointError: not found, no access, or no network and nothing cached.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    def fetch(name: str, commit: str | None) -> Path:
        try:
            return Path(
                hf_hub_download(
                    repo,
                    name,
                    revision=commit,
                    cache_dir=cache_dir,
                    token=token,
                    local_files_only=local_files_only,
                    library_name="gricol-zoo",
                )
            )
        except LocalEntryNotFoundError as error:
            raise CheckpointError(
                f"{name} of {repo} (revision {commit or 'main'}) is not in the cache and the Hub cannot be reached. "
                f"With a network, run `hf download {repo}`; or copy the folder here and use `local-dir:path`."
            ) from error
        except (HfHubHTTPError, OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise CheckpointError(f"Could not get {name} of {repo} (revision {commit or 'main'}): {reason}") from error

    config = fetch(CONFIG_FILE, revision or None)
    # The snapshot folder is named by its commit: both files come from that one, whatever the branch does meanwhile.
    return _source(config, fetch(WEIGHTS_FILE, config.parent.name))


def _source(config_file: Path, weights_file: Path) -> Source:
    config = read_config(config_file)
    info = config["gricol_zoo"]
    if info.get("format") != FORMAT:
        raise CheckpointError(
            f"{config_file} has format {info.get('format')!r}; this version reads {FORMAT}. Upgrade gricol-zoo."
        )
    spec = from_mapping(ModelSpec, info.get("spec", {}))
    return Source(str(config.get("architecture", "")), spec, weights_file, info, str(info.get("sha256", "")))


def read_config(file: Path) -> dict[str, Any]:
    """Read a config.json of this zoo.

    Raises:
        CheckpointError: too large, not JSON, or without our key.
    """
    if file.stat().st_size > MAX_CONFIG_BYTES:
        raise CheckpointError(f"{file} has {file.stat().st_size} bytes; a config has at most {MAX_CONFIG_BYTES}.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is not readable JSON: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("gricol_zoo"), dict):
        raise CheckpointError(f"{file} has no `gricol_zoo` key, so it is not a model of this zoo.")
    return config


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file, as 64 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def open_tensors(file: Path, sha256: str) -> Iterator[Mapping[str, Callable[[], Tensor]]]:
    """Open a safetensors file by memory map, after checking its SHA-256: key -> a function that reads that tensor.

    Only what is asked for is read, so the deployed form of a model never holds the head's tensors.

    Raises:
        CheckpointError: altered, cut, or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    found = file_sha256(file)
    if sha256 and found != sha256:
        raise CheckpointError(
            f"{file} is not the file that its config describes (SHA-256 {found[:12]}, expected {sha256[:12]})."
        )
    try:
        with safe_open(file, "pt") as tensors:
            yield {key: partial(tensors.get_tensor, key) for key in tensors.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is no readable safetensors file (cut in half?): {error}") from error


def load_weights(model: LowerBranch, source: Source, other_grid: bool = False) -> LoadReport:
    """Load a source's weights into a model, adapted to its ``num_classes`` and ``in_chans``; keep the report on the model.

    Args:
        model: either form.
        source: where the weights are.
        other_grid: the start of a training: where the file's model has another grid or head, or none, only its lower branch is
            taken. The head then starts anew, and the cells' own batch-norms, where the file has none, as the backbone's.

    Raises:
        CheckpointError: anything missing, unexpected or of another shape beyond those two.
    """
    if source.file is None:
        raise CheckpointError(f"There are no weights for {source.name!r}.")
    report = LoadReport([], [], [])
    state = model.state_dict()
    anew = other_grid and any(getattr(model.spec, field) != getattr(source.spec, field) for field in GRID_FIELDS)
    with open_tensors(source.file, source.sha256) as tensors:
        for key, target in state.items():
            if anew and key.startswith("cell_norm.") and key not in tensors:
                norm = key.removeprefix("cell_norm.").replace("/", ".")
                state[key] = tensors[f"backbone.{norm}"]().to(target.dtype)
                report.adapted.append(key)
                continue
            if anew and key.startswith(("head.", "splitter.")):
                report.new.append(key)
                continue
            if key not in tensors:
                raise CheckpointError(f"{source.file} has no tensor {key!r}: it holds another model than {source.name!r}.")
            state[key] = _fit(key, tensors[key](), target, source.spec, model.spec, report)
        extra = sorted(set(tensors) - set(state))
    if anew or isinstance(model, DeployedModel):
        extra = [key for key in extra if not key.startswith(GRID_KEYS)]
    if model.num_classes == 0:
        extra = [key for key in extra if not key.startswith("classifier.")]
    if extra:
        raise CheckpointError(f"{source.file} has {len(extra)} tensors that this model lacks, such as {extra[0]!r}.")
    model.load_state_dict(state)
    model.load_report = report
    model.info = dict(source.info)
    return report


def _fit(key: str, tensor: Tensor, target: Tensor, old: ModelSpec, new: ModelSpec, report: LoadReport) -> Tensor:
    if tensor.shape == target.shape:
        report.kept.append(key)
        return tensor.to(target.dtype)
    if old.num_classes != new.num_classes and tensor.shape[0] == old.num_classes and tensor.shape[1:] == target.shape[1:]:
        report.new.append(key)
        return target
    if old.in_chans != new.in_chans and tensor.ndim == 4:
        adapted = adapt_channels(tensor.float(), old.in_chans, target.shape)
        if adapted is not None:
            report.adapted.append(key)
            return adapted.to(target.dtype)
    if old.in_chans != new.in_chans and tensor.shape == (old.in_chans,) and target.shape == (new.in_chans,):
        report.adapted.append(key)
        return tensor.float().mean().expand(new.in_chans).to(target.dtype)
    raise CheckpointError(f"Tensor {key!r} has shape {tuple(tensor.shape)}, but the model needs {tuple(target.shape)}.")


def adapt_channels(weight: Tensor, in_chans: int, shape: torch.Size) -> Tensor | None:
    """Adapt a first convolution to another number of image channels, as timm does; None if the shapes do not allow it.

    From any number to 1, the kernels are summed; otherwise they are repeated and scaled, so that an image with
    equal channels gives what the grey image gave. A depthwise kernel (one input channel a group) is averaged instead.
    """
    outputs, inputs = shape[0], shape[1]
    if weight.shape[1] == 1 and weight.shape[0] == in_chans and inputs == 1 and weight.shape[2:] == shape[2:]:
        return weight.mean(0, keepdim=True).expand(shape).clone()
    if weight.shape[0] != outputs or weight.shape[1] != in_chans or weight.shape[2:] != shape[2:]:
        return None
    if inputs == 1:
        return weight.sum(1, keepdim=True)
    repeats = -(-inputs // in_chans)
    return weight.repeat(1, repeats, 1, 1)[:, :inputs] * (in_chans / inputs)


def half_precision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what goes on disk: matrices and kernels in fp16, vectors (norms, biases, running statistics) in fp32.

    Raises:
        CheckpointError: a value that is not finite, or too large for fp16.
    """
    out = {}
    for key, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.is_floating_point():
            tensor = tensor.half() if tensor.ndim > 1 else tensor.float()
            if not tensor.isfinite().all():
                raise CheckpointError(f"Tensor {key!r} has values that are not finite in fp16: the training diverged.")
        out[key] = tensor.clone()
    return out


def save_model(model: LowerBranch, folder: Path, info: Mapping[str, Any] | None = None) -> Path:
    """Write model.safetensors and config.json into a folder, each all at once; return the weight file.

    Args:
        model: either form; the full form also loads as the deployed one.
        folder: made if need be.
        info: what else to keep under ``gricol_zoo`` (training record, calibration); by default what was loaded.
    """
    if any(getattr(module, "for_inference_only", False) for module in model.modules()):
        raise CheckpointError("This model was optimized for inference. Save the one it came from.")
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    data = save(half_precision(model.state_dict()), metadata={"format": "pt"})
    write_atomically(folder / WEIGHTS_FILE, data)
    config = make_config(model, model.info if info is None else info, data)
    write_atomically(folder / CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())
    return folder / WEIGHTS_FILE


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


def make_config(model: LowerBranch, info: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """Return config.json's content: timm's root keys and our own."""
    spec = model.spec
    name = model.name or "unnamed"
    return {
        "architecture": name,
        "num_classes": spec.num_classes,
        "num_features": model.num_features,
        "global_pool": "avg",
        "label_names": list(spec.labels),
        "model_args": model_args(name, spec),
        "pretrained_cfg": timm_config(spec, tag=str(info.get("tag", ""))),
        "gricol_zoo": {
            **info,
            "format": FORMAT,
            "spec": spec.to_dict(),
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
        },
    }


def model_args(name: str, spec: ModelSpec) -> dict[str, Any]:
    """Return the fields of a spec that its registered name does not already give, but for the preprocessing."""
    own = spec.to_dict()
    base = MODELS.get(name).to_dict() if name in MODELS else {}
    return {key: value for key, value in own.items() if key != "preprocess" and base.get(key) != value}


def timm_config(spec: ModelSpec, tag: str = "") -> dict[str, Any]:
    """Return timm's ``pretrained_cfg`` for a spec: input, normalisation and the names of the layers it adapts."""
    seen = spec.image_size if spec.overview == "none" else spec.cell_size
    return {
        "tag": tag,
        "num_classes": spec.num_classes,
        "input_size": [spec.in_chans, *spec.image_size],
        "pool_size": [-(-side // 32) for side in seen],
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "mean": [spec.preprocess.mean] * spec.in_chans,
        "std": [spec.preprocess.std] * spec.in_chans,
        "first_conv": "overview.conv" if spec.overview == "conv" else "backbone.conv1",
        "classifier": "classifier",
        "license": "apache-2.0",
    }
