"""The paper's comparison systems that are no composition of parts, one file each, registered as backbones.

Each is a whole network but for its last linear layer: (B, C, h, w) -> (B, F, 1, 1), or a map, which the model pools and
classifies as it does any backbone's. So training, saving, the Hub, timm and counting know nothing of them. Beyond the contract
of ``gricol_zoo.models.backbones`` a network here may have

- ``training_loss(images, labels, epoch, classify, criterion)``: its own objective, a scalar, where cross entropy on the logits
  is not all of it. ``labels`` are (B,) classes or (B, classes) probabilities; ``classify`` turns a map into the model's logits,
  ``criterion(logits, labels)`` is the recipe's loss of one classifier.
- ``auxiliary``: a module of what only that objective needs; the deployed form leaves it out.
- ``reset_classes(num_classes)``: renew the classifiers in ``auxiliary`` (0: none); its constructor then takes ``num_classes``.
  A tensor in there that depends on the classes has them as its first dimension, so that weights load with other classes.
- ``stages``: the first epoch of each stage, where the objective changes and not every parameter trains in each. A recipe that
  ends before the last one is refused, data-parallel training is told, and ``check_model`` adds up the gradients of all stages.
- class attributes ``first_conv`` (which layer takes the image) and ``gives_map`` (False where it pools by itself).
"""

from gricol_zoo.models.baselines import (  # noqa: F401  (register)
    abn,
    bcnn,
    cirnet,
    dcl,
    hu2019,
    mmhpn,
    multiregion,
    ntsnet,
    sharma2017,
    siamese2017,
)
