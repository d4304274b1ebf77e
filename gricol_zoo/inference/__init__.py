"""From images to classes: fast networks, batches on every core, calibrated probabilities, tables of predictions."""
