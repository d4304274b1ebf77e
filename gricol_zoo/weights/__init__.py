"""Weights and their config.json: written, read and checked, in a folder, in the package and on the Hub."""
