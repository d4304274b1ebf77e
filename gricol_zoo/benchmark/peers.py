"""Run timm's networks on other runtimes, with the same exporter as for our models, so that the comparison is fair."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from gricol_zoo.errors import CheckpointError
from gricol_zoo.runtimes import store
from gricol_zoo.runtimes.engines import ENGINES
from gricol_zoo.runtimes.runner import MAY_DIFFER


def on_runtime(net: nn.Module, x: Tensor, runtime: str, dtype: str) -> Callable[[Tensor], Tensor]:
    """Return a network as a callable on a runtime, after checking that its logits agree with torch's.

    In int8 the logits are not compared: with random weights they need not agree.

    Args:
        net: in evaluation mode, (B, C, H, W) -> (B, classes).
        x: (B, C, H, W) float32, B >= 2; for int8 its activations set the quantization scales.
        runtime: a key of ``ENGINES``.
        dtype: one that the runtime supports.

    Raises:
        CheckpointError: the logits differ from torch's by more than ``MAY_DIFFER``.
        GricolZooError: the network cannot be exported.
    """
    with tempfile.TemporaryDirectory() as name:
        file, quantized = Path(name) / "peer.onnx", Path(name) / "peer.int8.onnx"
        store.write_graph(net, x[:2], ["logits"], file, "This network")
        if dtype == "int8":
            store.write_int8(file, quantized, x.numpy())
        run = ENGINES[runtime].open(quantized if dtype == "int8" else file, dtype, torch.get_num_threads())

    def call(images: Tensor) -> Tensor:
        return torch.from_numpy(run(images.numpy())[0])

    with torch.inference_mode():
        expected = net(x[:2])
    difference = float((call(x[:2]) - expected).abs().max() / expected.abs().max())
    if dtype != "int8" and not difference <= MAY_DIFFER[dtype]:
        raise CheckpointError(f"{runtime} in {dtype} gives other answers than torch: logits differ by {difference:.1%}.")
    return call
