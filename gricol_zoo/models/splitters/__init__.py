"""Splitters: (B, C, H, W) images -> (B, K, C, h, w) cells, in clockwise spiral order from the top left inward.

``rows`` go from the top down. ``gricol_zoo.models.contracts.Splitter`` says what a splitter is. It has no parameters in the
paper, but may have. One that has ``boxes()`` (``Boxed``) can be looked into by ``gricol_zoo.explain``.
"""

from gricol_zoo.models.splitters.registry import SPLITTERS, build_splitter
from gricol_zoo.models.splitters import feature_overlap, none, overlap, regions, rows, tiles  # noqa: F401  (register)

__all__ = ["SPLITTERS", "build_splitter"]
