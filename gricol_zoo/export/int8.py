"""From an fp32 ONNX file to an int8 one, by ONNX Runtime's static quantization (QDQ)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CALIBRATION_IMAGES = 256
BATCH = 8


def quantize(source: Path, target: Path, canvases: np.ndarray) -> None:
    """Write ``source`` in 8 bits: its convolutions, with the ReLUs, additions and pooling between them.

    Activations are uint8, over the mean range of the calibration's batches, and weights int8 with a scale a channel, of which
    seven bits are used: on processors without VNNI two products of eight bits overflow the 16 that they are added in, and the
    answers would depend on the machine. The classifier stays in fp32 (docs/DECISIONS.md says what each is worth).

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
            op_types_to_quantize=["Conv", "Relu", "Add", "MaxPool"],
            extra_options={"CalibMovingAverage": True},
        )
    finally:
        logger.setLevel(before)
        prepared.unlink(missing_ok=True)
