"""gricol_zoo: a model zoo for chromosome classification by grid reconstruction learning.

``create_model(name)`` is the door; everything public is listed here and loaded on first use.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from gricol_zoo._moved import Finder

__version__ = "0.1.0"

_PUBLIC = {
    "create_model": "factory",
    "list_models": "weights.resolve",
    "is_model": "weights.resolve",
    "ModelSpec": "spec",
    "Preprocess": "spec",
    "GridOutput": "spec",
    "CHROMOSOMES": "spec",
    "GridModel": "factory",
    "DeployedModel": "models.deployed",
    "TrainingTask": "training.task",
    "GridLoss": "training.losses",
    "grid_loss": "training.losses",
    "branch_weights": "training.losses",
    "BACKBONES": "models.backbones",
    "SPLITTERS": "models.splitters",
    "HEADS": "models.heads",
    "MODELS": "models.presets",
    "WEIGHTS": "models.presets",
    "DEFAULT_MODEL": "models.presets",
    "count": "models.flops",
    "optimize": "inference.fast",
    "parity": "inference.fast",
    "create_transform": "inference.transform",
    "classify": "inference.transform",
    "Prediction": "inference.transform",
    "GricolZooError": "errors",
    "ImageError": "errors",
}
__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from gricol_zoo.errors import GricolZooError as GricolZooError
    from gricol_zoo.errors import ImageError as ImageError
    from gricol_zoo.factory import GridModel as GridModel
    from gricol_zoo.factory import create_model as create_model
    from gricol_zoo.inference.fast import optimize as optimize
    from gricol_zoo.inference.fast import parity as parity
    from gricol_zoo.inference.transform import Prediction as Prediction
    from gricol_zoo.inference.transform import classify as classify
    from gricol_zoo.inference.transform import create_transform as create_transform
    from gricol_zoo.models.backbones import BACKBONES as BACKBONES
    from gricol_zoo.models.deployed import DeployedModel as DeployedModel
    from gricol_zoo.models.flops import count as count
    from gricol_zoo.models.heads import HEADS as HEADS
    from gricol_zoo.models.presets import DEFAULT_MODEL as DEFAULT_MODEL
    from gricol_zoo.models.presets import MODELS as MODELS
    from gricol_zoo.models.presets import WEIGHTS as WEIGHTS
    from gricol_zoo.models.splitters import SPLITTERS as SPLITTERS
    from gricol_zoo.spec import CHROMOSOMES as CHROMOSOMES
    from gricol_zoo.spec import GridOutput as GridOutput
    from gricol_zoo.spec import ModelSpec as ModelSpec
    from gricol_zoo.spec import Preprocess as Preprocess
    from gricol_zoo.training.losses import GridLoss as GridLoss
    from gricol_zoo.training.losses import branch_weights as branch_weights
    from gricol_zoo.training.losses import grid_loss as grid_loss
    from gricol_zoo.training.task import TrainingTask as TrainingTask
    from gricol_zoo.weights.resolve import is_model as is_model
    from gricol_zoo.weights.resolve import list_models as list_models


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'gricol_zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gricol_zoo.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


sys.meta_path.append(Finder())  # module paths from before the package had rooms

# Where timm is loaded already, our names join its registry at once; otherwise `import gricol_zoo.timm_bridge` does it.
if "timm.models" in sys.modules:
    importlib.import_module("gricol_zoo.timm_bridge")
