"""Weights and their config.json: written, read and checked, in a folder, in the package and on the Hub."""

from gricol_zoo._moved import forward

__getattr__ = forward("weights")  # what the module of this name had
