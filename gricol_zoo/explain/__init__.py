"""What a model looks at: saliency, the grid's own evidence, and maps of the features (paper, Fig. 5 and 6).

``saliency`` and ``cells`` return arrays; ``panel`` gathers them for one image, ``embed`` maps and scores features, and
``figures`` draws both.
"""

from gricol_zoo.explain.cells import GridEvidence, grid_evidence
from gricol_zoo.explain.saliency import grad_cam, guided_backprop

__all__ = ["GridEvidence", "grad_cam", "grid_evidence", "guided_backprop"]
