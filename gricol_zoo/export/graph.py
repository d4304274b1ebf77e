"""The exported network, from grey pixels to logits (and polarity as a second output), and the metadata for its reader."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any, cast

import torch
from torch import Tensor, nn

from gricol_zoo.data.arrays import normalise
from gricol_zoo.errors import GricolZooError
from gricol_zoo.export.canvas import CanvasInGraph
from gricol_zoo.export.reader import CANVASES, CROPS, IMAGES, LOGITS, SCALE, SHORT_ARM_UP
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.fast import fold_batch_norm, is_optimized
from gricol_zoo.models.contracts import Backbone
from gricol_zoo.models.deployed import DeployedModel

FORMAT = "1"


class PortableModel(nn.Module):
    """The lower branch in fp32 with folded batch-norm: (B, H, W) grey images -> (B, classes) float32 logits.

    A model with polarity returns a pair: the logits, and the probability that the short arm is up, (B,) float32.

    Args:
        model: a model in its full or deployed form.
        crops: whether to make the canvas in the graph, from crops (float32 in 0..1, any H and W, the same within a batch). Else
            the input is uint8 canvases of the model's own size, as ``load_canvases`` returns them. If crops are rotated or
            centred, each may have a scale, (B,) float32.

    Raises:
        GricolZooError: the model was changed by ``optimize``.
    """

    def __init__(self, model: GridModel | DeployedModel, crops: bool = False) -> None:
        super().__init__()
        if is_optimized(model):
            raise GricolZooError("This model was optimized for inference in Python. Export the original model.")
        net = model.deploy() if isinstance(model, GridModel) else copy.deepcopy(model)
        net = net.cpu().float().eval().requires_grad_(False)
        example = torch.randn(2, net.in_chans, *net.spec.image_size, generator=torch.Generator().manual_seed(0))
        net.backbone = cast(Backbone, fold_batch_norm(net.backbone, net.overview(example)))
        self.net = net
        self.canvas = CanvasInGraph(net.spec.preprocess, net.spec.image_size) if crops else None

    def forward(self, images: Tensor, scale: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits, (B, classes), of images, (B, H, W); with polarity, also the probability, (B,). ``scale`` is (B,)."""
        if self.canvas is not None:
            images = self.canvas(images, scale)
        inputs = normalise(images, self.net.spec)
        return self.net.both(inputs) if self.has_polarity else self.net(inputs)

    @property
    def has_polarity(self) -> bool:
        """Whether the network has the second output."""
        return self.net.polarity and self.net.num_classes > 0

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs in a file."""
        return [IMAGES, SCALE] if self.canvas is not None and self.canvas.scales else [IMAGES]

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs in a file."""
        return [LOGITS, SHORT_ARM_UP] if self.has_polarity else [LOGITS]

    @property
    def example(self) -> tuple[Tensor, ...]:
        """Example inputs, a batch of two images."""
        height, width = self.net.spec.image_size
        if self.canvas is None:
            return (torch.zeros(2, height, width, dtype=torch.uint8),)
        # Sizes that occur nowhere else, so that the tracer cannot confuse dimensions.
        crops = torch.rand(2, 83, 61, generator=torch.Generator().manual_seed(0))
        return (crops, torch.ones(2)) if SCALE in self.inputs else (crops,)


def trace(portable: PortableModel) -> Any:
    """Return the network as a ``torch.export.ExportedProgram`` for any batch size, and for any size of crops (8 to 4096).

    Raises:
        GricolZooError: torch cannot export the network, or only for one batch size.
    """
    batch = {0: torch.export.Dim("batch")}
    sizes = dict(batch)
    if portable.canvas is not None:
        sizes |= {1: torch.export.Dim("height", min=8, max=4096), 2: torch.export.Dim("width", min=8, max=4096)}
    shapes = (sizes, batch)[: len(portable.inputs)]
    try:
        with torch.no_grad():
            return torch.export.export(portable, portable.example, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # third-party parts can raise any exception
        name, reason = (
            portable.net.name or portable.net.spec.backbone,
            (str(error).strip() or type(error).__name__).splitlines()[0],
        )
        raise GricolZooError(f"{name} cannot be exported. torch.export failed: {reason}") from error


def file_metadata(portable: PortableModel, kind: str) -> dict[str, str]:
    """Return the metadata of the file: name -> text; lists and mappings are JSON."""
    from gricol_zoo import __version__

    spec, info = portable.net.spec, portable.net.info
    calibration = info.calibration
    return {
        "format": FORMAT,
        "gricol_zoo": __version__,
        "model": portable.net.name,
        "weights_sha256": info.sha256,
        "precision": "int8" if kind == "int8" else "fp32",
        "input": CANVASES if portable.canvas is None else CROPS,
        "inputs": json.dumps(portable.inputs),
        "outputs": json.dumps(portable.outputs),
        "image_size": json.dumps(spec.image_size),
        "labels": json.dumps(spec.labels),
        "temperature": str(calibration.temperature),
        "review_threshold": str(calibration.threshold or 0.0),
        "preprocess": json.dumps(dataclasses.asdict(spec.preprocess)),
    }
