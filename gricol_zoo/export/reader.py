"""Run an exported file with ONNX Runtime or torch: ``open_exported(file).logits(images)``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.errors import GricolZooError

DESCRIPTION = "gricol_zoo.json"  # inside a pt2 file
CANVASES, CROPS = "canvases", "crops"
"""Kinds of input: uint8 canvases of the model's size, or float32 grey crops of any size."""
IMAGES, SCALE = "images", "scale"
"""Names of the inputs: the images, (B, H, W), and, in a file that makes the canvas from rotated or centred crops, the scale
factors, (B,)."""
LOGITS, SHORT_ARM_UP = "logits", "short_arm_up"
"""Names of the outputs: logits, (B, classes), and, with polarity, the probability that the short arm is up, (B,)."""
Run = Callable[[dict[str, np.ndarray], Sequence[str]], Sequence[np.ndarray]]
"""Function: inputs by name, and names of the requested outputs -> these outputs."""
Scale = float | Sequence[float] | np.ndarray
"""Scale factor of the crops, one for all images or one for each, (B,)."""


class ExportedModel:
    """An exported model that is ready to run.

    Attributes:
        info: the metadata of the file (docs/reference/files.md).
        labels: one name per class.
        image_size: (height, width) of the canvas.
        takes_crops: whether the file makes the canvas itself.
        inputs: names of its inputs, "images" first.
        outputs: names of its outputs, "logits" first.
    """

    def __init__(self, info: dict[str, str], run: Run) -> None:
        self.info = info
        self.labels: tuple[str, ...] = tuple(json.loads(info["labels"]))
        self.image_size: tuple[int, int] = tuple(json.loads(info["image_size"]))
        self.takes_crops = info["input"] == CROPS
        # Older files do not have these fields.
        self.inputs: tuple[str, ...] = tuple(json.loads(info.get("inputs", f'["{IMAGES}"]')))
        self.outputs: tuple[str, ...] = tuple(json.loads(info.get("outputs", f'["{LOGITS}"]')))
        self._run = run

    def logits(self, images: np.ndarray, scale: Scale | None = None) -> np.ndarray:
        """Return the logits of images, (B, classes) float32.

        Args:
            images: (B, H, W), uint8 canvases, or float32 crops in 0..1 of one size.
            scale: factor that brings the crops to the scale of the training images, one for all or one for each, (B,); None
                for 1.

        Raises:
            GricolZooError: the scale is not positive, has the wrong shape, or is not supported by this file.
        """
        return self._run(self._prepared(images, scale), (LOGITS,))[0]

    def both(self, images: np.ndarray, scale: Scale | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits, (B, classes) float32, and the probability that the short arm is up, (B,) float32.

        Args:
            images: as for ``logits``.
            scale: as for ``logits``.

        Raises:
            GricolZooError: the file has no polarity, or the scale cannot be used (see ``logits``).
        """
        if SHORT_ARM_UP not in self.outputs:
            raise GricolZooError(
                "This exported model does not predict polarity. Export a model with polarity (`polarity=True`)."
            )
        logits, up = self._run(self._prepared(images, scale), (LOGITS, SHORT_ARM_UP))
        return logits, up

    def _prepared(self, images: np.ndarray, scale: Scale | None) -> dict[str, np.ndarray]:
        given = {IMAGES: np.ascontiguousarray(images, np.float32 if self.takes_crops else np.uint8)}
        if SCALE in self.inputs:
            given[SCALE] = _one_each(1.0 if scale is None else scale, len(images))
        elif scale is not None:
            raise GricolZooError(
                "This exported model takes no `scale`: it does not contain the preparation of rotated or centred crops. "
                "Scale the images beforehand, or export the model with the preprocessing in the graph."
            )
        return given


def _one_each(scale: Scale, count: int) -> np.ndarray:
    """Return the scale of each of ``count`` images, (count,) float32.

    Raises:
        GricolZooError: the scale is not positive, or has the wrong shape.
    """
    found = np.asarray(scale, np.float32)
    if found.shape not in ((), (count,)):
        raise GricolZooError(f"Expected one `scale`, or one for each of {count} images, but got shape {found.shape}.")
    if not (np.isfinite(found) & (found > 0)).all():
        raise GricolZooError(f"Expected `scale` to be positive, but got {scale!r}.")
    return np.broadcast_to(found, count).copy()


def open_exported(file: str | Path, threads: int = 0) -> ExportedModel:
    """Open a file that ``export_model`` wrote.

    Args:
        file: .onnx or .pt2.
        threads: number of threads of ONNX Runtime; 0 takes all cores.

    Raises:
        GricolZooError: there is no such file, or it is not a file of ``export_model``.
        ModuleNotFoundError: ONNX Runtime is not installed.
    """
    file = Path(file)
    if not file.is_file():
        raise GricolZooError(f"No such file: {file}.")
    try:
        info, run = _open_pt2(file) if file.suffix == ".pt2" else _open_onnx(file, threads)
        return ExportedModel(info, run)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # each library raises its own errors
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise GricolZooError(f"{file} is not a readable model exported by gricol_zoo: {reason}") from error


def _open_onnx(file: Path, threads: int) -> tuple[dict[str, str], Run]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    info = dict(session.get_modelmeta().custom_metadata_map)
    return info, lambda given, wanted: session.run(list(wanted), given)


def _open_pt2(file: Path) -> tuple[dict[str, str], Run]:
    import torch

    inside: dict[str, Any] = {DESCRIPTION: ""}
    net: Any = torch.export.load(file, extra_files=inside).module()

    def run(given: dict[str, np.ndarray], wanted: Sequence[str]) -> list[np.ndarray]:
        with torch.inference_mode():
            found = net(*map(torch.from_numpy, given.values()))  # in the order of the description's `inputs`
        parts = found if isinstance(found, (tuple, list)) else (found,)  # and of its `outputs`
        return [part.numpy() for part in parts[: len(wanted)]]

    return json.loads(inside[DESCRIPTION]), run
