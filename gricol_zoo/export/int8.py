"""From an fp32 ONNX file to an int8 one, by ONNX Runtime's static quantization (QDQ)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CALIBRATION_IMAGES = 256
BATCH = 8


def first_quarter(file: Path) -> list[str]:
    """Return the names of the first quarter of an ONNX file's convolutions, at least one: for a ResNet its stem and stage 1."""
    import onnx

    names = [node.name for node in onnx.load(str(file)).graph.node if node.op_type == "Conv"]
    return names[: max(1, len(names) // 4)]


def quantize(source: Path, target: Path, canvases: np.ndarray) -> None:
    """Write ``source`` with the weights and inputs of its convolutions in 8 bits, but for the first quarter of them.

    Inputs are uint8 and weights int8 with a scale a channel, of which seven bits are used: on processors without VNNI two
    products of eight bits overflow the 16 that they are added in, and the answers would depend on the machine. The first
    quarter sees the finest maps, and an error made there goes through all the rest; shortcuts are added in fp32, and the
    classifier is fp32 (docs/DECISIONS.md says what each is worth).

    Args:
        source: an fp32 ONNX file.
        target: what to write.
        canvases: (n, H, W) uint8 of training images, whose activations set the scales.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Batches(CalibrationDataReader):
        """Canvases, as the calibration asks for them."""

        def __init__(self) -> None:
            starts = range(0, len(canvases), BATCH)
            self.batches: Iterator[Any] = iter([{"images": canvases[start : start + BATCH]} for start in starts])

        def get_next(self) -> Any:
            """Return the next batch, or None."""
            return next(self.batches, None)

    prepared = target.with_name(f"{target.stem}.prepared.onnx")
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)  # it recommends on the root logger what has just been done
    try:
        quant_pre_process(str(source), str(prepared))
        quantize_static(
            str(prepared),
            str(target),
            Batches(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=first_quarter(prepared),
        )
    finally:
        logger.setLevel(before)
        prepared.unlink(missing_ok=True)
