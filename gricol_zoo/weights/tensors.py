"""Saving and loading weights: safetensors files, checked before any memory is allocated; never a pickle."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gricol_zoo.errors import CheckpointError, CorruptWeightsError
from gricol_zoo.files import file_sha256, write_atomically, write_json
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.models.lower import GRID_KEYS, LowerBranch
from gricol_zoo.spec import ModelSpec
from gricol_zoo.weights.config import CONFIG_FILE, make_config
from gricol_zoo.weights.pixels import KEY, PIXELS_FILE, describe
from gricol_zoo.weights.source import WEIGHTS_FILE, Source

GRID_FIELDS = ("splitter", "head", "grid", "cell_norm", "splitter_options", "head_options")
MAX_HEADER = 4 << 20  # bytes; enough for ten thousand tensors
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.int64)


class LoadReport(NamedTuple):
    """How each tensor was loaded: as it is, adapted (``in_chans``, ``polarity``, grid), or new (``num_classes``, grid)."""

    kept: list[str]
    adapted: list[str]
    new: list[str]


@contextlib.contextmanager
def open_tensors(file: Path, sha256: str) -> Iterator[Mapping[str, Callable[[], Tensor]]]:
    """Open a safetensors file by memory map, after checking its SHA-256: key -> a function that reads that tensor.

    Only requested tensors are read, so the deployed form of a model never holds the head's tensors.

    Raises:
        CorruptWeightsError: the file was altered or truncated, or is not a safetensors file.
    """
    found = file_sha256(file)
    if found != sha256:
        raise CorruptWeightsError(
            f"{file} is not the file that its config describes (SHA-256 {found[:12]}, expected {sha256[:12]})."
        )
    with safetensors_file(file) as tensors:
        yield {key: partial(tensors.get_tensor, key) for key in tensors.keys()}  # noqa: SIM118  (not a mapping)


@contextlib.contextmanager
def safetensors_file(file: Path) -> Iterator[Any]:
    """Open a safetensors file with any content, without reading more than its header.

    Raises:
        CorruptWeightsError: it is not a safetensors file, it is truncated, or its header is too large.
    """
    from safetensors import SafetensorError, safe_open

    with file.open("rb") as stream:
        header = int.from_bytes(stream.read(8), "little")
    if header > MAX_HEADER:
        raise CorruptWeightsError(f"{file} is not a valid safetensors file: its header would have {header} bytes.")
    try:
        with safe_open(file, "pt") as tensors:
            yield tensors
    except (SafetensorError, OSError) as error:
        raise CorruptWeightsError(f"{file} is not a valid safetensors file (truncated?): {error}") from error


def check_against(outline: Mapping[str, Tensor], source: Source) -> None:
    """Reject weights that cannot belong to a model, by their size and their header alone; no memory is allocated for them.

    Args:
        outline: the state that the model will have, on the meta device.
        source: where the weights are; they are downloaded only if their size is plausible.

    Raises:
        CheckpointError: too large for the model, or its tensors have other names or shapes.
    """
    maximum = sum(4 * tensor.numel() for tensor in outline.values()) + MAX_HEADER
    size = source.info.size
    if size > maximum:
        raise CheckpointError(f"The weights of {source.name!r} have {size} bytes, but this model has at most {maximum}.")
    assert source.open is not None
    file = source.open()
    if file.stat().st_size != size:
        raise CorruptWeightsError(
            f"{file} is not the file that its config describes: {file.stat().st_size} bytes, expected {size} (truncated?)."
        )
    with safetensors_file(file) as tensors:
        shapes = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    expected = {key: tuple(tensor.shape) for key, tensor in outline.items()}
    for key in [*expected, *shapes]:
        if key not in shapes:
            raise CheckpointError(f"{file} has no tensor {key!r}, so it is not a file of {source.name!r}.")
        if key not in expected:
            extra = sorted(set(shapes) - set(expected))
            raise CheckpointError(f"{file} has tensors that this model lacks ({len(extra)}), such as {extra[0]!r}.")
        if shapes[key] != expected[key]:
            raise CheckpointError(f"Tensor {key!r} has shape {shapes[key]}, but the model needs {expected[key]}.")


def load_weights(model: LowerBranch, source: Source, other_grid: bool = False) -> LoadReport:
    """Load a source's weights into a model, adapted to its classes, polarity and channels; keep the report on the model.

    Args:
        model: either form.
        source: where the weights are.
        other_grid: for the start of a training: if the file's model has another grid or head, or none, only its lower branch
            is loaded. The head then starts anew. The cells' own batch-norms, if the file has none, start as the backbone's.

    Raises:
        CheckpointError: there are no weights, or a tensor is missing, unexpected or of a shape that is not adapted.
    """
    if source.open is None:
        raise CheckpointError(f"There are no weights for {source.name!r}.")
    file = source.open()
    report = LoadReport([], [], [])
    state = model.state_dict()
    anew = other_grid and any(getattr(model.spec, field) != getattr(source.spec, field) for field in GRID_FIELDS)
    with open_tensors(file, source.info.sha256) as stored:
        tensors = {key: partial(_finite, key, read) for key, read in stored.items()}
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
                raise CheckpointError(f"{file} has no tensor {key!r}, so it is not a file of {source.name!r}.")
            state[key] = _fit(key, tensors[key](), target, source.spec, model.spec, report)
        extra = sorted(set(tensors) - set(state))
    if anew or isinstance(model, DeployedModel):
        extra = [key for key in extra if not key.startswith(GRID_KEYS)]
    if model.num_classes == 0:
        extra = [key for key in extra if not key.startswith("classifier.")]
    if extra:
        raise CheckpointError(f"{file} has tensors that this model lacks ({len(extra)}), such as {extra[0]!r}.")
    model.load_state_dict(state)
    model.load_report = report
    model.info, model.hub_ref = source.info, source.ref
    model.training_pixels = source.pixels()
    old, new = source.spec, model.spec
    if old.num_classes != new.num_classes or (old.polarity and not new.polarity) or old.global_pool != new.global_pool:
        model.info = source.info.for_other_classes()
    return report


def _finite(key: str, read: Callable[[], Tensor]) -> Tensor:
    tensor = read()
    if tensor.dtype not in DTYPES:
        raise CorruptWeightsError(f"Tensor {key!r} has dtype {tensor.dtype}; expected one of {', '.join(map(str, DTYPES))}.")
    if not torch.isfinite(tensor).all():
        raise CorruptWeightsError(f"Tensor {key!r} has values that are not finite.")
    if key.endswith("running_var") and (tensor < 0).any():
        raise CorruptWeightsError(f"Tensor {key!r} has negative values, but a variance has none.")
    return tensor


def _fit(key: str, tensor: Tensor, target: Tensor, old: ModelSpec, new: ModelSpec, report: LoadReport) -> Tensor:
    classifier = key.startswith("classifier.")
    outputs = 2 * old.num_classes if classifier and old.polarity else old.num_classes
    fits = tensor.shape == (outputs, *target.shape[1:])
    # 48 outputs may mean 48 classes, or 24 with polarity, so the shape alone does not decide.
    if old.num_classes != new.num_classes and fits and (classifier or tensor.shape != target.shape):
        report.new.append(key)
        return target
    if tensor.shape == target.shape:
        report.kept.append(key)
        return tensor.to(target.dtype)
    if old.polarity != new.polarity and fits and classifier:
        report.adapted.append(key)
        return adapt_polarity(tensor.float(), key.endswith(".bias"), new.polarity).to(target.dtype)
    if old.in_chans != new.in_chans and tensor.ndim == 4:
        adapted = adapt_channels(tensor.float(), old.in_chans, target.shape)
        if adapted is not None:
            report.adapted.append(key)
            return adapted.to(target.dtype)
    if old.in_chans != new.in_chans and tensor.shape == (old.in_chans,) and target.shape == (new.in_chans,):
        report.adapted.append(key)
        return tensor.float().mean().expand(new.in_chans).to(target.dtype)
    raise CheckpointError(f"Tensor {key!r} has shape {tuple(tensor.shape)}, but the model needs {tuple(target.shape)}.")


def adapt_polarity(tensor: Tensor, bias: bool, polarity: bool) -> Tensor:
    """Adapt a classifier's weight or bias, float (outputs, ...), to a model with polarity, or to one without.

    With polarity each class gets two equal outputs, less ln 2, so that the summed logits stay the same. Without polarity a
    class gets the mean of its two, plus ln 2; that undoes the former, and otherwise is only a start for a training.
    """
    step = math.log(2) if bias else 0.0
    if polarity:
        return (tensor - step).repeat_interleave(2, 0)
    return tensor.unflatten(0, (-1, 2)).mean(1) + step


def adapt_channels(weight: Tensor, in_chans: int, shape: torch.Size) -> Tensor | None:
    """Adapt a first convolution to another number of image channels, as timm does; None if the shapes do not allow it.

    From any number to 1, the kernels are summed; otherwise they are repeated and scaled, so that an image with
    equal channels gives the same result as the grey image. A depthwise kernel (one input channel per group) is averaged.
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
    """Return the tensors to store: matrices and kernels in fp16, vectors (norms, biases, running statistics) in fp32.

    Raises:
        CheckpointError: a value that is not finite, or too large for fp16.
    """
    out = {}
    for key, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.is_floating_point():
            tensor = tensor.half() if tensor.ndim > 1 else tensor.float()
            if not tensor.isfinite().all():
                raise CheckpointError(f"Tensor {key!r} has values that are not finite in fp16, so the training diverged.")
        out[key] = tensor.clone()
    return out


def save_model(model: LowerBranch, folder: Path) -> Path:
    """Write model.safetensors, config.json and, if known, pixels.bin into a folder, each atomically; return the weight file.

    Args:
        model: either form; the full form also loads as the deployed one. Its ``info`` goes into the config.
        folder: created if it does not exist.

    Raises:
        CheckpointError: an optimized copy, or weights that are not finite in fp16.
        ConfigError: an ``info`` that could not be read back.
    """
    if any(getattr(module, "for_inference_only", False) for module in model.modules()):
        raise CheckpointError("This model was optimized for inference. Save the original model.")
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    data = save(half_precision(model.state_dict()), metadata={"format": "pt"})
    info = _with_pixels(model.info, model.training_pixels)
    config = make_config(
        model.name, model.spec, model.num_features, info, sha256=hashlib.sha256(data).hexdigest(), size=len(data)
    )
    if model.training_pixels is not None:
        write_atomically(folder / PIXELS_FILE, model.training_pixels)
    write_atomically(folder / WEIGHTS_FILE, data)
    write_json(folder / CONFIG_FILE, config)
    return folder / WEIGHTS_FILE


def _with_pixels(info: WeightsInfo, pixels: bytes | None) -> WeightsInfo:
    """Return the info for config.json, with its entry on pixels.bin set to match ``pixels``."""
    record = {key: value for key, value in info.training.items() if key != KEY}
    if pixels is not None:
        record[KEY] = describe(pixels)
    return info.replace(training=record) if record else info
