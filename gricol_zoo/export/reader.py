"""Run an exported file, by ONNX Runtime or by torch: ``open_exported(file).logits(images)``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.errors import GricolZooError

DESCRIPTION = "gricol_zoo.json"  # inside a pt2 file
CANVASES, CROPS = "canvases", "crops"
"""What a file takes: uint8 canvases of the model's size, or float32 grey crops of any size."""


class ExportedModel:
    """An exported model that is ready to run.

    Attributes:
        info: what the file says of itself (docs/FILES.md).
        labels: one name a class.
        image_size: (height, width) of the canvas.
        takes_crops: whether it makes the canvas itself.
    """

    def __init__(self, info: dict[str, str], run: Callable[[np.ndarray], np.ndarray]) -> None:
        self.info = info
        self.labels: tuple[str, ...] = tuple(json.loads(info["labels"]))
        self.image_size: tuple[int, int] = tuple(json.loads(info["image_size"]))
        self.takes_crops = info["input"] == CROPS
        self._run = run

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W) images -> (B, classes) float32 logits; uint8 canvases, or float32 crops in 0..1 of one size."""
        return self._run(np.ascontiguousarray(images, np.float32 if self.takes_crops else np.uint8))


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


def _open_onnx(file: Path, threads: int) -> tuple[dict[str, str], Callable[[np.ndarray], np.ndarray]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    info = dict(session.get_modelmeta().custom_metadata_map)
    return info, lambda images: session.run(["logits"], {"images": images})[0]


def _open_pt2(file: Path) -> tuple[dict[str, str], Callable[[np.ndarray], np.ndarray]]:
    import torch

    inside: dict[str, Any] = {DESCRIPTION: ""}
    net: Any = torch.export.load(file, extra_files=inside).module()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy(images)).numpy()

    return json.loads(inside[DESCRIPTION]), run
