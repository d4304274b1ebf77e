"""Run an exported file, by ONNX Runtime or by torch: ``open_exported(file).logits(images)``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.errors import GricolZooError

DESCRIPTION = "gricol_zoo.json"  # inside a pt2 file
CANVASES, CROPS = "canvases", "crops"
"""What a file takes: uint8 canvases of the model's size, or float32 grey crops of any size."""
IMAGES, SCALE = "images", "scale"
"""What its inputs are called: the images, (B, H, W); of a file that makes the canvas of turned or centred crops also what a
pixel of each is to be multiplied by, (B,)."""
LOGITS, SHORT_ARM_UP = "logits", "short_arm_up"
"""What a file gives: logits, (B, classes); of a model with polarity also the probability, (B,), that the short arm is up."""
Run = Callable[[dict[str, np.ndarray], Sequence[str]], Sequence[np.ndarray]]
"""Inputs by name, and the names of the outputs that are wanted -> those outputs."""
Scale = float | Sequence[float] | np.ndarray
"""What a crop pixel is multiplied by, for all images or for each, (B,)."""


class ExportedModel:
    """An exported model that is ready to run.

    Attributes:
        info: what the file says of itself (docs/reference/files.md).
        labels: one name per class.
        image_size: (height, width) of the canvas.
        takes_crops: whether it makes the canvas itself.
        inputs: what it takes, "images" first.
        outputs: what it gives, "logits" first.
    """

    def __init__(self, info: dict[str, str], run: Run) -> None:
        self.info = info
        self.labels: tuple[str, ...] = tuple(json.loads(info["labels"]))
        self.image_size: tuple[int, int] = tuple(json.loads(info["image_size"]))
        self.takes_crops = info["input"] == CROPS
        # Older files do not say these.
        self.inputs: tuple[str, ...] = tuple(json.loads(info.get("inputs", f'["{IMAGES}"]')))
        self.outputs: tuple[str, ...] = tuple(json.loads(info.get("outputs", f'["{LOGITS}"]')))
        self._run = run

    def logits(self, images: np.ndarray, scale: Scale | None = None) -> np.ndarray:
        """(B, H, W) images -> (B, classes) float32 logits.

        Args:
            images: uint8 canvases, or float32 crops in 0..1 of one size.
            scale: what a crop pixel is multiplied by to be as large as one of the training images, for all or for each, (B,);
                none is 1.

        Raises:
            GricolZooError: a scale that is no positive number, or not one for each image, or that this file does not take.
        """
        return self._run(self._prepared(images, scale), (LOGITS,))[0]

    def both(self, images: np.ndarray, scale: Scale | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(B, H, W) images -> (B, classes) float32 logits, and (B,) float32 the probability that the short arm is up.

        Args:
            images: as for ``logits``.
            scale: as for ``logits``.

        Raises:
            GricolZooError: the file is of a model without polarity; or a scale as for ``logits``.
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
                "This exported model takes no `scale`: it does not contain the preparation of turned or centred crops. "
                "Scale the images beforehand, or export the model with the preprocessing in the graph."
            )
        return given


def _one_each(scale: Scale, count: int) -> np.ndarray:
    """Return a scale for each of ``count`` images, (count,) float32, positive.

    Raises:
        GricolZooError: as ``ExportedModel.logits``.
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
        threads: of ONNX Runtime; 0 takes all cores.

    Raises:
        GricolZooError: not such a file.
    """
    file = Path(file)
    if not file.is_file():
        raise GricolZooError(f"No such file: {file}.")
    try:
        info, run = _open_pt2(file) if file.suffix == ".pt2" else _open_onnx(file, threads)
        return ExportedModel(info, run)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # each library has errors of its own
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
