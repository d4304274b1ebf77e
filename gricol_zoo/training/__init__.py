"""Losses, recipes, the training loop and what it keeps so that it can go on."""
