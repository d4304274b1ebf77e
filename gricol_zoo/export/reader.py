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
LOGITS, SHORT_ARM_UP = "logits", "short_arm_up"
"""What a file gives: logits, (B, classes); of a model with polarity also the probability, (B,), that the short arm is up."""
Run = Callable[[np.ndarray, Sequence[str]], Sequence[np.ndarray]]
"""Images, and the names of the outputs that are wanted -> those outputs."""


class ExportedModel:
    """An exported model that is ready to run.

    Attributes:
        info: what the file says of itself (docs/FILES.md).
        labels: one name a class.
        image_size: (height, width) of the canvas.
        takes_crops: whether it makes the canvas itself.
        outputs: what it gives, "logits" first.
    """

    def __init__(self, info: dict[str, str], run: Run) -> None:
        self.info = info
        self.labels: tuple[str, ...] = tuple(json.loads(info["labels"]))
        self.image_size: tuple[int, int] = tuple(json.loads(info["image_size"]))
        self.takes_crops = info["input"] == CROPS
        self.outputs: tuple[str, ...] = tuple(json.loads(info.get("outputs", f'["{LOGITS}"]')))  # older files do not say
        self._run = run

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W) images -> (B, classes) float32 logits; uint8 canvases, or float32 crops in 0..1 of one size."""
        return self._run(self._prepared(images), (LOGITS,))[0]

    def both(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, H, W) images -> (B, classes) float32 logits, and (B,) float32 the probability that the short arm is up.

        Args:
            images: as for ``logits``.

        Raises:
            GricolZooError: the file is of a model without polarity.
        """
        if SHORT_ARM_UP not in self.outputs:
            raise GricolZooError(
                "This file does not tell which end of a chromosome is up. Export a model with polarity (`polarity=True`)."
            )
        logits, up = self._run(self._prepared(images), (LOGITS, SHORT_ARM_UP))
        return logits, up

    def _prepared(self, images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(images, np.float32 if self.takes_crops else np.uint8)


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
        raise GricolZooError(f"{file} is no exported model of this zoo that can be read: {reason}") from error


def _open_onnx(file: Path, threads: int) -> tuple[dict[str, str], Run]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    info = dict(session.get_modelmeta().custom_metadata_map)
    return info, lambda images, wanted: session.run(list(wanted), {"images": images})


def _open_pt2(file: Path) -> tuple[dict[str, str], Run]:
    import torch

    inside: dict[str, Any] = {DESCRIPTION: ""}
    net: Any = torch.export.load(file, extra_files=inside).module()

    def run(images: np.ndarray, wanted: Sequence[str]) -> list[np.ndarray]:
        with torch.inference_mode():
            given = net(torch.from_numpy(images))
        parts = given if isinstance(given, (tuple, list)) else (given,)  # in the order of the description's `outputs`
        return [part.numpy() for part in parts[: len(wanted)]]

    return json.loads(inside[DESCRIPTION]), run
