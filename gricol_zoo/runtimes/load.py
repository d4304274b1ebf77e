"""From a name to a classifier: a network with its weights, prepared for images, on any runtime."""

from __future__ import annotations

from pathlib import Path

import torch

from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel, create_model
from gricol_zoo.inference.classifier import Classifier, of_network
from gricol_zoo.inference.preparation import prepare_as
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.presets import DEFAULT_MODEL
from gricol_zoo.runtimes.choose import make_runner


def load_network(
    name: str = "", device: str = "cpu", deployed: bool = False, preparation: int = 0, ground: str = ""
) -> GridModel | DeployedModel:
    """Load a model with its weights by name, or from a folder.

    Args:
        name: name of a model with weights, or a folder of `train`; "" is the packaged model.
        device: "cpu" or "cuda".
        deployed: load the lower branch alone.
        preparation: version of the crops' preparation; 0 keeps the weights' own.
        ground: the crops' background; "" keeps the weights' own.

    Raises:
        GricolZooError: the model is unknown or has no weights, or the device is not available.
    """
    name = name or DEFAULT_MODEL
    model = create_model(f"local-dir:{name}" if Path(name).is_dir() else name, pretrained=True, deployed=deployed)
    prepare_as(model, preparation, ground)
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise GricolZooError(f"The device {device!r} is not available: {str(error).splitlines()[0]}") from error


def classifier_on(
    model: GridModel | DeployedModel, dtype: str = "fp32", runtime: str = "torch", full: bool = False
) -> Classifier:
    """Return a network as a classifier on a runtime (``make_runner``); with ``full`` all classifiers combined, on torch.

    Raises:
        GricolZooError: ``full`` on another runtime, or as for ``make_runner``.
    """
    if full and runtime not in ("torch", "auto"):
        raise GricolZooError(f"--full needs all classifiers, but {runtime} runs the lower branch alone. Use --runtime torch.")
    if runtime == "torch" or full:
        return of_network(model, dtype, full)
    return of_network(make_runner(model, runtime, dtype))
