"""The paper's comparison systems that are no composition of parts, one file each, registered as backbones.

Each is a whole network but for its last linear layer: (B, C, h, w) -> (B, F, 1, 1), or a map, which the model pools and
classifies as it does any backbone's. So training, saving, the Hub, timm and counting know nothing of them. Beyond the contract
of a ``Backbone`` a network here may have an objective of its own (``OwnObjective``), with phases, and classifiers that only
that objective needs (``OwnClasses``); see ``gricol_zoo.models.contracts``.
"""

from gricol_zoo.models.baselines import (  # noqa: F401  (register)
    abn,
    bcnn,
    cirnet,
    dcl,
    hrnet,
    hu2019,
    kernelpool,
    maskcnn,
    mmhpn,
    multiregion,
    ntsnet,
    racnn,
    sharma2017,
    siamese2017,
    varifocal,
)
