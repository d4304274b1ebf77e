"""Backbones: (B, C, h, w) images -> (B, F, h', w') feature map. Pooling belongs to the model.

Constructor: takes by name what it needs of ``in_chans``, ``input_size`` ((height, width) it will see) and ``num_classes``, plus
its own options. Attribute: ``num_features`` (F). Optional, for timm's feature contract: ``feature_info``,
``forward_intermediates``, ``prune_intermediate_layers``, ``set_grad_checkpointing``, ``group_matcher``. Optional, for splitters
that cut a feature map: ``to_stage(x, stage)``, ``from_stage(x, stage)`` and ``stages_after(stage)``, as in ``resnet.py``.
"""

from gricol_zoo.models.backbones.table import BACKBONES, build_backbone
from gricol_zoo.models.backbones import resnet  # noqa: F401  (registers)

__all__ = ["BACKBONES", "build_backbone"]
