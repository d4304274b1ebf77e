"""Shared code: where results are written, which images belong to which weights, and how weights are loaded."""
