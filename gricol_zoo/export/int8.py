"""Convert an fp32 ONNX file to int8 with ONNX Runtime's static quantization (QDQ)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 8


@dataclass(frozen=True)
class Int8:
    """Settings of the quantization; ``benchmarks/speed/export_checks.py`` measures the effect of each.

    Attributes:
        operators: ONNX operators to quantize. With Relu among them, the output of a convolution is rounded after the ReLU,
            where half of the range is no longer needed.
        seven_bits: use seven of eight bits for weights. On CPUs without VNNI the sum of two 8-bit products overflows its 16
            bits, so results would depend on the machine.
        mean_ranges: take the mean range of an activation over the calibration batches, instead of the extremes of all batches.
    """

    operators: tuple[str, ...] = ("Conv", "Relu", "Add", "MaxPool")
    seven_bits: bool = True
    mean_ranges: bool = True


def quantize(source: Path, target: Path, canvases: np.ndarray, how: Int8 = Int8()) -> None:
    """Quantize ``source`` to 8 bits: activations uint8, weights int8 with one scale per channel; the rest stays in fp32.

    Args:
        source: an fp32 ONNX file.
        target: the file to write.
        canvases: (n, H, W) uint8, training images whose activations set the scales.
        how: settings of the quantization.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Batches(CalibrationDataReader):
        """Batches of canvases for the calibration."""

        def __init__(self) -> None:
            starts = range(0, len(canvases), BATCH)
            self.batches: Iterator[Any] = iter([{"images": canvases[start : start + BATCH]} for start in starts])

        def get_next(self) -> Any:
            """Return the next batch, or None."""
            return next(self.batches, None)

    prepared = target.with_name(f"{target.stem}.prepared.onnx")
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)  # onnxruntime recommends, on the root logger, the preprocessing that is done here
    try:
        quant_pre_process(str(source), str(prepared))
        quantize_static(
            str(prepared),
            str(target),
            Batches(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=how.seven_bits,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(how.operators),
            extra_options={"CalibMovingAverage": how.mean_ranges},
        )
    finally:
        logger.setLevel(before)
        prepared.unlink(missing_ok=True)
