"""Splitters: (B, C, H, W) images -> (B, K, C, h, w) cells, in clockwise spiral order from the top left inward.

``gricol_zoo.models.contracts.Splitter`` says what one is. A splitter has no parameters in the paper, but may have. One that has
``boxes()`` (``Boxed``) can be looked into by ``gricol_zoo.explain``.
"""

from gricol_zoo.models.splitters.table import SPLITTERS, build_splitter
from gricol_zoo.models.splitters import feature_overlap, none, overlap, regions, tiles  # noqa: F401  (register)

__all__ = ["SPLITTERS", "build_splitter"]
