"""A model on another runtime: called like the model, and checked against it before its first use."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from gricol_zoo.data.arrays import as_batch
from gricol_zoo.errors import CheckpointError, GricolZooError
from gricol_zoo.export.check import canvases_of, synthetic_crops
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.fast import is_optimized
from gricol_zoo.inference.finite import check_finite
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.runtimes import store
from gricol_zoo.runtimes.engines import Engine, Network

CHECKED_ON = 32  # images
CALIBRATED_ON = 64  # images whose activations set the scales of int8
MAY_DIFFER = {"fp32": 1e-3, "bf16": 0.05, "int8": 0.25}
"""Largest allowed difference of a logit from torch's in fp32, as a fraction of the largest. (torch's bf16 differs by 0.02.)"""
MAY_CHANGE = {"fp32": 1.0, "bf16": 1.0, "int8": 1 / 16}
"""Largest fraction of the images that may get another class. Logits as close as in fp32 and bf16 only change ties."""
WAY_OUT = dict.fromkeys(("fp32", "bf16"), "Use the runtime torch, and report it.") | {"int8": "Use another precision."}
MAY_TELL = {"fp32": 0.01, "bf16": 0.1, "int8": 0.25}
"""Largest allowed difference of the probability that the short arm is up."""


class Runner:
    """The lower branch of a model on another runtime; made by ``make_runner``.

    It has the model's name, spec and record, and is called like the model. It has no torch weights.

    Attributes:
        runtime: "onnxruntime" or "openvino".
        version: version of the runtime.
        dtype: the dtype that it computes in.
        model: the deployed model without its weights (on torch's "meta" device), for its attributes.
        difference: the largest difference of a logit from torch's in the check, as a fraction of the largest logit.
    """

    def __init__(self, model: DeployedModel, runtime: str, engine: Engine, dtype: str, file: Path, difference: float) -> None:
        self.runtime, self.version, self.dtype = runtime, engine.version(), dtype
        self.model, self.difference = model, difference
        self._engine, self._file = engine, file
        self._open: dict[int, Network] = {}
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the model: name, spec, info, polarity and so on."""
        if name == "model" or name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.model, name)

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float -> (B, classes) float32 logits."""
        return self._run(images)[0]

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) float -> logits (B, classes), probability (B,) that the short arm is up.

        Raises:
            GricolZooError: a model without polarity.
        """
        if not self.model.polarity:
            raise GricolZooError("This model does not predict polarity. Use weights with polarity.")
        logits, up = self._run(images)
        return logits, up

    def full(self, images: Tensor) -> Tensor:
        """Not supported.

        Raises:
            GricolZooError: always; other runtimes have the lower branch only.
        """
        raise GricolZooError(f"{self.runtime} only runs the lower branch. For all classifiers use the runtime torch.")

    def _run(self, images: Tensor) -> list[Tensor]:
        array = np.ascontiguousarray(images.detach().to("cpu", torch.float32).numpy())
        return [torch.from_numpy(part) for part in self._network()(array)]

    def _network(self) -> Network:
        """Return the network, opened for the number of threads that this thread may use."""
        threads = torch.get_num_threads()
        with self._lock:
            if threads not in self._open:
                self._open[threads] = self._engine.open(self._file, self.dtype, threads)
            return self._open[threads]


def open_runner(model: GridModel | DeployedModel, runtime: str, engine: Engine, dtype: str) -> Runner:
    """Return a model on an installed runtime, after a check against torch whose result is remembered.

    The file is written and checked if it is not in the cache yet. A file there that is not the checked one is written again.

    Args:
        model: on the processor, not optimized.
        runtime: name of the runtime.
        engine: the runtime.
        dtype: one of the engine's dtypes.

    Raises:
        CheckpointError: its answers differ too much from torch's.
        GricolZooError: the model cannot be exported, or the cache cannot be written.
    """
    net = plain_form(model)
    plain = store.folder() / f"{store.digest_of(net)}.onnx"
    file = plain.with_suffix(".int8.onnx") if dtype == "int8" else plain
    noted = file.with_suffix(f".{runtime}.{dtype}.json")
    conditions = {"runtime": runtime, "version": engine.version(), "dtype": dtype, "processor": store.processor()}
    with store.locked(plain):
        record = store.read_record(noted)
        if record.get("sha256") != store.hash_of(file) or any(record.get(key) != value for key, value in conditions.items()):
            if not store.is_vouched_for(file):
                _write(net, plain, file)
            difference = check(net, Runner(net, runtime, engine, dtype, file, 0.0))
            record = {**conditions, "sha256": store.hash_of(file), "difference": difference}
            store.write_record(noted, record)
    net.to("meta")
    return Runner(net, runtime, engine, dtype, file, float(record["difference"]))


def _write(net: DeployedModel, plain: Path, file: Path) -> None:
    """Write a network's fp32 file and, for int8, the quantized file beside it."""
    if file == plain or not store.is_vouched_for(plain):
        store.write_network(net, plain)
    if file != plain:
        store.write_int8(plain, file, example_images(net, CALIBRATED_ON).numpy())


def plain_form(model: GridModel | DeployedModel) -> DeployedModel:
    """Return a copy of the lower branch in fp32 on the processor.

    Raises:
        GricolZooError: an optimized model, one without classes, or one on another device.
    """
    if is_optimized(model):
        raise GricolZooError("This model was optimized for torch. Give the original model.")
    if not model.num_classes:
        raise GricolZooError("This model has no classifier, but other runtimes only run classifiers. Use torch.")
    if next(model.parameters()).device.type != "cpu":
        raise GricolZooError("Other runtimes run on the processor. Leave the model there, or use the runtime torch.")
    net = model.deploy() if isinstance(model, GridModel) else copy.deepcopy(model)
    return cast(DeployedModel, net.float().eval().requires_grad_(False))


def check(net: DeployedModel, runner: Runner) -> float:
    """Compare a runner with torch in fp32 on synthetic chromosomes; return the largest difference of a logit, as a fraction.

    Raises:
        CheckpointError: it is too large, too many classes or the polarity differ, or a number is not finite.
    """
    images = example_images(net)
    with torch.inference_mode():
        expected: tuple[Tensor, ...] = net.both(images) if net.polarity else (net(images),)
    got = runner._run(images)
    for part in got:
        check_finite(part, net.name)
    largest = float(expected[0].abs().max().clamp_min(1e-6))
    difference = float((got[0] - expected[0]).abs().max()) / largest
    changed = float((got[0].argmax(1) != expected[0].argmax(1)).float().mean())
    up = float((got[1] - expected[1]).abs().max()) if net.polarity else 0.0
    kind = runner.dtype
    if difference > MAY_DIFFER[kind] or changed > MAY_CHANGE[kind] or up > MAY_TELL[kind]:
        raise CheckpointError(
            f"{runner.runtime} gives other answers than torch for {net.name or 'this model'} in {kind}. A logit differs by "
            f"{difference:.1%} of the largest ({MAY_DIFFER[kind]:.1%} are allowed), {changed:.1%} of the images get another "
            f"class ({MAY_CHANGE[kind]:.1%}). {WAY_OUT[kind]}"
        )
    return difference


def example_images(net: DeployedModel, count: int = CHECKED_ON) -> Tensor:
    """Return images of synthetic chromosomes as the network takes them, (count, C, H, W) float32."""
    return as_batch(list(canvases_of(net, synthetic_crops(count))), net.spec)
