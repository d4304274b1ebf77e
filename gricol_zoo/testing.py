"""Checks of the contract that every part and model must keep, ours and third parties' alike.

    from gricol_zoo.testing import check_backbone, check_head, check_model, check_splitter

    def test_my_parts():
        check_backbone("acme_conv")
        check_model("acme_n4")

Each raises AssertionError with what was expected and what was found. They need no test framework.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch.nn import functional as F

from gricol_zoo.factory import GridModel, create_model
from gricol_zoo.models.backbones import BACKBONES
from gricol_zoo.models.contracts import (
    Backbone,
    Boxed,
    Checkpointing,
    Cuttable,
    Gated,
    Layered,
    MultiLevel,
    OwnObjective,
    Resizable,
    Splitter,
    complete,
)
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.flops import count
from gricol_zoo.models.heads import HEADS
from gricol_zoo.models.parts import build_part
from gricol_zoo.models.splitters import SPLITTERS
from gricol_zoo.spec import ModelSpec
from gricol_zoo.training.losses import GridLoss
from gricol_zoo.training.task import TrainingTask


def check_backbone(name: str, input_size: tuple[int, int] = (64, 64), options: Mapping[str, Any] | None = None) -> None:
    """Check that a backbone gives (B, num_features, h', w') for 1 and 3 channels, and a gradient for every parameter.

    If it has its own ``training_loss``, that gives the gradients, and ``check_model`` checks them. Optional methods of
    ``gricol_zoo.models.contracts`` are called as a model calls them, if the backbone has them: the maps of each level,
    pruning, running it in two parts, checkpointing.

    Raises:
        AssertionError: the backbone does not keep the contract.
    """
    for in_chans in (1, 3):
        offered = {"in_chans": in_chans, "input_size": input_size, "num_classes": 5}
        backbone = complete(build_part("backbone", name, BACKBONES.get(name), offered, options or {}), Backbone)
        features = backbone(torch.randn(2, in_chans, *input_size))
        _expect(features.ndim == 4, f"backbone {name}: a 4-D feature map", tuple(features.shape))
        _expect(features.shape[0] == 2, f"backbone {name}: the batch size kept", tuple(features.shape))
        _expect(features.shape[1] == backbone.num_features, f"backbone {name}: num_features channels", tuple(features.shape))
        features.square().mean().backward()
        if not isinstance(backbone, OwnObjective):
            _check_gradients(backbone, f"backbone {name}")
    images = torch.randn(2, 3, *input_size)
    with torch.no_grad():
        _check_levels(backbone.eval(), f"backbone {name}", images)
        _check_cuts(backbone, f"backbone {name}", images)
        _check_layers(backbone, f"backbone {name}")
        _check_size(backbone, f"backbone {name}", images)
    if isinstance(backbone, Checkpointing):
        expected = backbone(images)
        backbone.set_grad_checkpointing()
        close = torch.allclose(backbone(images), expected, atol=1e-4)
        _expect(close, f"backbone {name}: the same map with gradient checkpointing", "another map")


def _check_levels(backbone: Backbone, what: str, images: torch.Tensor) -> None:
    """Request levels as ``DeployedModel`` does: all of them, two, and two after the rest has been pruned."""
    promised = [hasattr(backbone, name) for name in ("feature_info", "forward_intermediates", "prune_intermediate_layers")]
    if not any(promised):
        return
    _expect(
        isinstance(backbone, MultiLevel),
        f"{what}: `feature_info`, `forward_intermediates` and `prune_intermediate_layers`, or none of them",
        f"{sum(promised)} of the three",
    )
    levels = cast(MultiLevel, backbone)
    count = len(levels.feature_info)
    _expect(count >= 1, f"{what}: at least one entry in `feature_info`", count)
    final, maps = levels.forward_intermediates(images, list(range(count)), stop_early=False)
    _expect(len(maps) == count, f"{what}: one map for each of its {count} levels", f"{len(maps)} maps")
    _expect(torch.allclose(final, backbone(images), atol=1e-4), f"{what}: `forward`'s map beside the levels", "another map")
    for number, (level, features) in enumerate(zip(levels.feature_info, maps, strict=True)):
        size = [-(-side // level["reduction"]) for side in images.shape[2:]]
        _expect(
            features.shape[1] == level["num_chs"], f"{what}: {level['num_chs']} channels at level {number}", features.shape[1]
        )
        fits = all(abs(got - side) <= 1 for got, side in zip(features.shape[2:], size, strict=True))
        _expect(fits, f"{what}: a map of about {size} at level {number} (reduction {level['reduction']})", features.shape[2:])
    pair = sorted({0, max(0, count - 2)})
    _, two = levels.forward_intermediates(images, pair, stop_early=True)
    _expect(len(two) == len(pair), f"{what}: asked for levels {pair} it gives {len(pair)} maps", f"{len(two)} maps")
    pruned = cast(MultiLevel, copy.deepcopy(backbone))
    pruned.prune_intermediate_layers(pair)
    _, again = pruned.forward_intermediates(images, pair, stop_early=True)
    same = len(again) == len(pair) and all(torch.equal(one, maps[level]) for one, level in zip(again, pair, strict=True))
    _expect(same, f"{what}: the same maps of levels {pair} after `prune_intermediate_layers`", "other maps")


def _check_cuts(backbone: Backbone, what: str, images: torch.Tensor) -> None:
    """Run the backbone in two parts, cut after each stage, as the splitter ``feature_overlap`` does."""
    if not hasattr(backbone, "to_stage") and not hasattr(backbone, "from_stage"):
        return
    _expect(isinstance(backbone, Cuttable), f"{what}: `to_stage`, `from_stage` and `stages_after`, or none of them", "some")
    parts, whole = cast(Cuttable, backbone), backbone(images)
    for stage in range(len(parts.stages_after(0))):
        again = parts.from_stage(parts.to_stage(images, stage), stage)
        _expect(torch.allclose(again, whole, atol=1e-4), f"{what}: the same map when cut after stage {stage}", "another map")


def _check_layers(backbone: Backbone, what: str) -> None:
    """Request the layers as layer-wise learning rates do."""
    if not isinstance(backbone, Layered):
        return
    names = {name for name, _ in backbone.named_parameters()}
    for coarse in (False, True):
        layers = backbone.parameter_layers(coarse)
        _expect(set(layers) == names, f"{what}: a layer for each parameter", f"{len(layers)} of {len(names)}")
        _expect(len(set(layers.values())) > 1, f"{what}: more than one layer", set(layers.values()))


def _check_size(backbone: Backbone, what: str, images: torch.Tensor) -> None:
    """Adapt the backbone to larger images, as ``set_input_size`` of a model does."""
    if not isinstance(backbone, Resizable):
        return
    height, width = (2 * side for side in images.shape[2:])
    larger = copy.deepcopy(backbone)
    larger.set_input_size((height, width))
    features = larger(torch.randn(1, images.shape[1], height, width))
    _expect(features.shape[1] == backbone.num_features, f"{what}: its features of larger images", tuple(features.shape))


def check_splitter(
    name: str,
    grid: int = 3,
    image_size: tuple[int, int] = (96, 98),
    cell_size: tuple[int, int] = (48, 48),
    options: Mapping[str, Any] | None = None,
) -> None:
    """Check that a splitter gives (B, num_cells, C, *cell_size), and treats each image of a batch independently.

    Raises:
        AssertionError: the splitter does not keep the contract.
    """
    offered = {"grid": grid, "image_size": image_size, "cell_size": cell_size}
    splitter = complete(build_part("splitter", name, SPLITTERS.get(name), offered, options or {}), Splitter).eval()
    _expect(isinstance(splitter.num_cells, int) and splitter.num_cells >= 0, f"splitter {name}: num_cells", splitter.num_cells)
    for channels in (1, 3):
        images = torch.randn(2, channels, *image_size)
        cells = splitter(images)
        head = (2, splitter.num_cells, channels)
        _expect(tuple(cells.shape[:3]) == head, f"splitter {name}: shape starting {head}", tuple(cells.shape))
        size = getattr(splitter, "cell_size", tuple(cells.shape[-2:]))
        _expect(tuple(cells.shape[-2:]) == tuple(size), f"splitter {name}: cells of {size}", tuple(cells.shape))
        _expect(
            torch.equal(splitter(images[1:])[0], cells[1]),
            f"splitter {name}: images processed independently",
            "another result for one image alone",
        )
    if isinstance(splitter, Boxed):
        boxes = splitter.boxes()
        _expect(len(boxes) == splitter.num_cells, f"splitter {name}: one box per cell", len(boxes))
        for top, left, height, width in boxes:
            inside = 0 <= top < top + height <= image_size[0] and 0 <= left < left + width <= image_size[1]
            _expect(inside, f"splitter {name}: boxes inside {image_size}", (top, left, height, width))


def check_head(name: str, num_cells: int = 9, num_features: int = 16, options: Mapping[str, Any] | None = None) -> None:
    """Check that a head gives ((B, K, classes), (B, classes) or None), each image independently, and trains every parameter.

    Raises:
        AssertionError: the head does not keep the contract.
    """
    offered = {"num_features": num_features, "num_cells": num_cells, "num_classes": 5}
    head = build_part("head", name, HEADS.get(name), offered, options or {}).eval()
    features = torch.randn(4, num_cells, num_features)
    cell_logits, merged = head(features)
    _expect(cell_logits.shape[0] == 4 and cell_logits.shape[2] == 5, f"head {name}: (B, K, classes)", tuple(cell_logits.shape))
    _expect(merged is None or tuple(merged.shape) == (4, 5), f"head {name}: merged (B, classes) or None", merged)
    alone, _ = head(features[2:3])
    _expect(
        torch.allclose(alone[0], cell_logits[2], atol=1e-5),
        f"head {name}: images processed independently",
        "another result for one image alone",
    )
    if isinstance(head, Gated):
        gates = head.gate_values(features)
        _expect(tuple(gates.shape) == (4, num_cells), f"head {name}: gate_values (B, K)", tuple(gates.shape))
    total = cell_logits.square().sum() + (0 if merged is None else merged.square().sum())
    if total.requires_grad:
        total.backward()
    _check_gradients(head, f"head {name}")


def check_model(name: str, **changes: Any) -> None:
    """Check that a named model keeps the whole contract of the zoo; ``changes`` as for ``create_model`` (a smaller size, say).

    Raises:
        AssertionError: the model does not keep the contract.
    """
    model = create_model(name, **changes)
    assert isinstance(model, GridModel)
    spec = model.spec
    rebuilt = ModelSpec(**json.loads(json.dumps(spec.to_dict())))
    _expect(rebuilt == spec, f"{name}: a spec that survives a round trip through JSON", rebuilt)
    images = torch.randn(2, spec.in_chans, *spec.image_size)
    _check_training(model, name, images)
    _check_inference(model.eval(), name, images)
    _check_saving(model, name, images)
    cost = count(model)
    both = cost.upper + cost.lower
    adds_up = cost.lower < cost.full < both if model.grid.shared else cost.full == both
    _expect(cost.lower > 0 and adds_up, f"{name}: countable multiply-adds", cost)
    for in_chans, num_classes in ((3, 7), (1, 2)):
        changed = create_model(name, **{**changes, "in_chans": in_chans, "num_classes": num_classes})
        logits = changed.eval()(torch.randn(1, in_chans, *spec.image_size))
        _expect(tuple(logits.shape) == (1, num_classes), f"{name}: (1, {num_classes})", tuple(logits.shape))


def _check_training(model: GridModel, name: str, images: torch.Tensor) -> None:
    model.train()
    logits = model(images)
    _expect(tuple(logits.shape) == (2, model.num_classes), f"{name}: logits in training mode too", tuple(logits.shape))
    task = TrainingTask(model, GridLoss())
    for epoch in task.phases or (3,):  # one phase trains what another leaves out
        for labels in (torch.tensor([0, 1]), torch.tensor([[0.7, 0.3], [0.0, 1.0]])):  # classes, and mixup's probabilities
            labels = labels if labels.ndim == 1 else F.pad(labels, (0, model.num_classes - 2))
            polarity = torch.tensor([True, False]) if model.polarity and labels.ndim == 1 else None
            loss = task(images, labels, float(epoch), polarity)
            _expect(loss.ndim == 0 and bool(loss.isfinite()), f"{name}: a finite scalar loss at epoch {epoch}", loss)
            loss.backward()
    _check_gradients(model, name)
    model.zero_grad(set_to_none=True)


@torch.no_grad()
def _check_inference(model: GridModel, name: str, images: torch.Tensor) -> None:
    classes, cells = model.num_classes, model.splitter.num_cells
    output = model.branches(images)
    _expect(tuple(output.logits.shape) == (2, classes), f"{name}: logits (B, classes)", tuple(output.logits.shape))
    shape = tuple(output.cell_logits.shape)
    _expect(shape[0] == 2 and shape[1] <= cells and shape[2] == classes, f"{name}: cell_logits (B, {cells}, classes)", shape)
    _expect(torch.allclose(output.logits, model(images), atol=1e-4), f"{name}: the same lower branch", "another result")
    total = model.full(images).exp().sum(1)
    _expect(torch.allclose(total, torch.ones(2), atol=1e-4), f"{name}: full() of probabilities that sum to 1", total)
    deployed = model.deploy()
    _expect(torch.equal(deployed(images), model(images)), f"{name}: deployed logits equal bit for bit", "other logits")
    if model.polarity:
        _check_polarity(model, name, images)
    features = deployed.forward_features(images)
    _expect(features.shape[1] == deployed.num_features, f"{name}: num_features channels", tuple(features.shape))
    again = deployed.forward_head(features)
    _expect(torch.equal(again, deployed(images)), f"{name}: forward = forward_head(forward_features)", "other logits")
    final, maps = deployed.forward_intermediates(images)
    _expect(torch.equal(final, features), f"{name}: final intermediate = forward_features", "another map")
    _expect(len(maps) == len(deployed.feature_info), f"{name}: one map per level", len(maps))


def _check_polarity(model: GridModel, name: str, images: torch.Tensor) -> None:
    logits = model(images)
    joint = model.branches(images).joint_logits
    assert joint is not None
    _expect(tuple(joint.shape) == (2, model.num_classes, 2), f"{name}: joint logits (B, classes, 2)", tuple(joint.shape))
    summed = joint.double().exp().sum(-1).log().float()
    _expect(torch.allclose(summed, logits, atol=1e-4), f"{name}: logits that sum both polarities", "other logits")
    for form, what in ((model, "the full form"), (model.deploy(), "the deployed form")):
        told, up = form.both(images)
        _expect(torch.equal(told, logits), f"{name}: both() of {what} with the model's logits bit for bit", "other logits")
        _expect(up.dtype == torch.float32 and tuple(up.shape) == (2,), f"{name}: polarity (B,) float32", up)
        expected = joint.double().flatten(1).softmax(1)[:, ::2].sum(1).float()
        _expect(torch.allclose(up, expected, atol=1e-4), f"{name}: the probability of short arm up ({what})", up)


@torch.no_grad()
def _check_saving(model: GridModel, name: str, images: torch.Tensor) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = create_model(f"local-dir:{folder}", pretrained=True)
        assert isinstance(loaded, GridModel)
        _expect(loaded.spec == model.spec, f"{name}: the same spec after loading", loaded.spec)
        error = (loaded(images) - model(images)).abs().max().item()
        bound = 0.05 + 0.02 * model(images).abs().max().item()
        _expect(error < bound, f"{name}: the same logits after saving in fp16 (within {bound:.3f})", error)
        loaded.save_pretrained(Path(folder) / "again")
        deployed = create_model(f"local-dir:{folder}/again", pretrained=True, deployed=True)
        assert isinstance(deployed, DeployedModel)
        _expect(torch.equal(deployed(images), loaded(images)), f"{name}: deployed loads its part of the file", "other logits")


def _check_gradients(module: torch.nn.Module, what: str) -> None:
    without = [key for key, parameter in module.named_parameters() if parameter.requires_grad and parameter.grad is None]
    _expect(not without, f"{what}: a gradient for every parameter", f"none for {without[:3]}")


def _expect(condition: bool, expected: str, got: Any) -> None:
    if not condition:
        raise AssertionError(f"Expected {expected}, but got {got}.")
