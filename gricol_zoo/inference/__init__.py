"""From images to classes: fast networks, batches on every core, calibrated probabilities, tables of predictions."""

from gricol_zoo._moved import forward

__getattr__ = forward("inference")  # names of the old module of this name
