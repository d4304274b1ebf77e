"""The paper's comparison systems that cannot be composed from parts, one file each, registered as backbones.

Each is a whole network except its last linear layer: (B, C, h, w) -> (B, F, 1, 1), or a map, which the model pools and
classifies like any backbone's. So training, saving, the Hub, timm and counting need no special code for them. Beyond the
contract of a ``Backbone``, a network here may have its own objective (``OwnObjective``), with phases, and classifiers that
only that objective needs (``OwnClasses``); see ``gricol_zoo.models.contracts``.
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
