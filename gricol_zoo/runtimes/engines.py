"""The runtimes besides torch: what each needs, which dtypes it has, and how it opens an ONNX file.

A batch comes from one of several threads, each of which may use as many cores as it has torch threads (see
``gricol_zoo.inference.workers``). So a file is opened once per such number, and threads share the opened network.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gricol_zoo.errors import GricolZooError
from gricol_zoo.inference.workers import usable_cores

Network = Callable[[np.ndarray], list[np.ndarray]]
"""(B, C, H, W) float32 images -> each output, float32; several threads may call it at once."""


class Engine(Protocol):
    """One runtime.

    Attributes:
        extra: extra of this package that installs it.
        dtypes: its dtypes, best first; "bf16" only counts if the processor has it, "int8" only if it is requested.
    """

    extra: str
    dtypes: tuple[str, ...]

    def version(self) -> str:
        """Return its version, "" if it is not installed."""

    def open(self, file: Path, dtype: str, threads: int) -> Network:
        """Open an ONNX file for calls that each use ``threads`` cores."""


class OnnxRuntime:
    """ONNX Runtime on the processor; it has no bf16 there."""

    extra = "export"
    dtypes: tuple[str, ...] = ("fp32", "int8")

    def version(self) -> str:
        """Return its version, "" where it is not installed."""
        if importlib.util.find_spec("onnxruntime") is None:
            return ""
        import onnxruntime

        return str(onnxruntime.__version__)

    def open(self, file: Path, dtype: str, threads: int) -> Network:
        """Open an ONNX file; its threads sleep between calls, so that other workers and processes can use the cores."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda images: list(session.run(None, {name: images}))


PRECISION = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""Our dtype -> OpenVINO's name. A quantized file itself says which layers are in 8 bits; the others use this."""


class OpenVino:
    """OpenVINO on the processor, in bf16 if the processor has it."""

    extra = "openvino"
    dtypes: tuple[str, ...] = ("bf16", "fp32", "int8")

    def version(self) -> str:
        """Return its version, "" where it is not installed."""
        if importlib.util.find_spec("openvino") is None:
            return ""
        import openvino

        return str(openvino.__version__).partition("-")[0]

    def open(self, file: Path, dtype: str, threads: int) -> Network:
        """Open an ONNX file in a fixed precision, because OpenVINO's default differs between processors.

        Raises:
            GricolZooError: a precision that the processor does not have.
        """
        import openvino

        core = openvino.Core()
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": PRECISION[dtype],
            "INFERENCE_NUM_THREADS": usable_cores(),
            "NUM_STREAMS": max(1, usable_cores() // threads),
            "ENABLE_CPU_PINNING": False,  # otherwise two processes pin themselves to the same cores
        }
        compiled = core.compile_model(str(file), "CPU", settings)
        if compiled.get_property("INFERENCE_PRECISION_HINT").to_string() != PRECISION[dtype]:
            raise GricolZooError(f"OpenVINO has no {dtype} on this processor. Leave --dtype at auto, or use fp32.")
        mine = threading.local()  # a request serves one thread at a time

        def run(images: np.ndarray) -> list[np.ndarray]:
            if not hasattr(mine, "request"):
                mine.request = compiled.create_infer_request()
            results = mine.request.infer({0: images})
            return [np.array(results[output]) for output in compiled.outputs]

        return run


ENGINES: dict[str, Engine] = {"onnxruntime": OnnxRuntime(), "openvino": OpenVino()}
