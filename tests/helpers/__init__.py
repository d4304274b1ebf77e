"""What several tests use: synthetic sets and cells, files of every kind, a local Hub, small models."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""
