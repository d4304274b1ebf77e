"""Splitters: (B, C, H, W) images -> (B, K, C, h, w) cells, in clockwise spiral order from the top left inward.

``rows`` go from the top down. ``gricol_zoo.models.contracts.Splitter`` is their contract. The paper's splitter has no
parameters, but a splitter may have some. ``gricol_zoo.explain`` can show the cells of one that has ``boxes()`` (``Boxed``).
"""

from gricol_zoo.models.splitters.registry import SPLITTERS, build_splitter
from gricol_zoo.models.splitters import feature_overlap, none, overlap, regions, rows, tiles  # noqa: F401  (register)

__all__ = ["SPLITTERS", "build_splitter"]
