"""The paper's comparison systems that are no composition of parts, one file each, registered as backbones.

Each is a whole network but for its last linear layer: (B, C, h, w) -> (B, F, 1, 1), or a map, which the model pools and
classifies as it does any backbone's. So training, saving, the Hub, timm and counting know nothing of them. Beyond the contract
of ``gricol_zoo.backbones`` a network here may have

- ``training_loss(images, labels, epoch, classify, criterion)``: its own objective, a scalar, where cross entropy on the logits
  is not all of it. ``classify`` turns a map into the model's logits, ``criterion(logits, labels)`` is the recipe's loss of one
  classifier.
- ``auxiliary``: a module of what only that objective needs; the deployed form leaves it out.
- ``reset_classes(num_classes)``: renew the classifiers of its own; its constructor then takes ``num_classes``.
- class attributes ``first_conv`` (which layer takes the image) and ``gives_map`` (False where it pools by itself).
"""

from gricol_zoo.baselines import cirnet, hu2019, mmhpn, multiregion  # noqa: F401  (register)
