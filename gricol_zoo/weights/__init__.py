"""Weights and their config.json: written, read and checked, in a folder, in the package and on the Hub."""

from gricol_zoo._moved import forward

__getattr__ = forward("weights")  # names of the old module of this name
