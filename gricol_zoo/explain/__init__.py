"""Explain a model: saliency, the predictions of the grid cells, and maps of the features (paper, Fig. 5 and 6).

``saliency`` and ``cells`` return arrays; ``panel`` collects them for one image, and ``figures`` draws them. ``embed`` maps and
scores features, and ``feature_maps`` draws the maps.
"""

from gricol_zoo.explain.cells import GridEvidence, grid_evidence
from gricol_zoo.explain.saliency import grad_cam, guided_backprop

__all__ = ["GridEvidence", "grad_cam", "grid_evidence", "guided_backprop"]
