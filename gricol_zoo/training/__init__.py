"""Losses, recipes, the training loop and its checkpoints."""
