"""From an fp32 ONNX file to an int8 one, by ONNX Runtime's static quantization (QDQ)."""

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
    """What is quantized, and how; ``benchmarks/speed/export_checks.py`` measures what each is worth.

    Attributes:
        operators: of ONNX. With the ReLU a convolution's output is rounded after it, where half the range is no longer needed.
        seven_bits: of eight, for weights: on processors without VNNI two products of eight bits overflow the 16 that they are
            added in, and the answers would depend on the machine.
        mean_ranges: an activation's range is the mean over the calibration's batches, not the extremes of all of them.
    """

    operators: tuple[str, ...] = ("Conv", "Relu", "Add", "MaxPool")
    seven_bits: bool = True
    mean_ranges: bool = True


def quantize(source: Path, target: Path, canvases: np.ndarray, how: Int8 = Int8()) -> None:
    """Write ``source`` in 8 bits: activations uint8, weights int8 with a scale a channel; the rest stays in fp32.

    Args:
        source: an fp32 ONNX file.
        target: what to write.
        canvases: (n, H, W) uint8 of training images, whose activations set the scales.
        how: what is quantized.
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
            reduce_range=how.seven_bits,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(how.operators),
            extra_options={"CalibMovingAverage": how.mean_ranges},
        )
    finally:
        logger.setLevel(before)
        prepared.unlink(missing_ok=True)
