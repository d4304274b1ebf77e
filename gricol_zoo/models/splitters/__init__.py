"""Splitters: (B, C, H, W) images -> (B, K, C, h, w) cells, in clockwise spiral order from the top left inward.

Constructor: takes by name what it needs of ``grid``, ``image_size`` and ``cell_size``, plus its own options.
Attributes: ``num_cells`` (K) and ``cell_size`` ((h, w)). A splitter has no parameters in the paper, but may have.
Optional, for ``gricol_zoo.explain``: ``boxes()`` -> K times (top, left, height, width), which pixels of the image each cell
shows, in the order of the cells. Optional: ``stage``, for a splitter that cuts the backbone's map of the whole image after that
stage (0 is the stem) instead of the pixels; ``forward`` then gets that map.
"""

from gricol_zoo.models.splitters.table import SPLITTERS
from gricol_zoo.models.splitters import feature_overlap, none, overlap, regions, tiles  # noqa: F401  (register)

__all__ = ["SPLITTERS"]
