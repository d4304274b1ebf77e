"""Measure how well a model's features separate the classes, and map them with t-SNE (section 2.2 and Fig. 6 of the paper).

The measures use the features themselves. A t-SNE map is for viewing only: the distances between its clusters and their sizes
mean little, and another perplexity gives another map. (With principal components as the starting point, the seed has little or
no effect.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from gricol_zoo.data.arrays import as_batch
from gricol_zoo.errors import GricolZooError
from gricol_zoo.inference.finite import check_finite
from gricol_zoo.inference.logits import best_batch_size
from gricol_zoo.inference.workers import side_by_side
from gricol_zoo.models.lower import LowerBranch, pool_map, sum_polarities

NEIGHBOURS = 10
PERPLEXITY = 30.0  # van der Maaten and Hinton (JMLR 9, 2008) advise 5 to 50


def pooled_features(model: LowerBranch, canvases: np.ndarray, batch_size: int = 0, workers: int = 0) -> np.ndarray:
    """Return the pooled features of the lower branch, the input of its classifier: (n, F) float32.

    The state of the model is not changed.

    Args:
        model: a model in its full or deployed form.
        canvases: (n, H, W) uint8, as ``gricol_zoo.data.arrays.load_canvases`` returns them.
        batch_size: images per batch; 0 takes ``best_batch_size``.
        workers: batches in parallel; 0 takes one per core.

    Raises:
        GricolZooError: there are no images, or a feature is not finite.
    """
    if not len(canvases):
        raise GricolZooError("Expected at least one image, but got none.")
    device = next(model.parameters()).device
    size = batch_size or best_batch_size(model.spec, device.type)
    modes = [(module, module.training) for module in model.modules()]

    def pool(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            maps = model.forward_features(as_batch(list(batch), model.spec).to(device))
            pooled = pool_map(maps, model.global_pool or "avg").float().cpu().numpy()
        check_finite(pooled, model.name)
        return pooled

    model.eval()
    try:
        batches = [canvases[start : start + size] for start in range(0, len(canvases), size)]
        return np.concatenate(list(side_by_side(pool, batches, workers)))
    finally:
        for module, mode in modes:
            module.training = mode


def classify_features(model: LowerBranch, features: np.ndarray) -> np.ndarray:
    """Return the class index that the lower branch predicts from (n, F) pooled features: (n,) int64."""
    with torch.inference_mode():
        logits = model.classifier(torch.from_numpy(features).to(next(model.parameters()).device))
        return (sum_polarities(logits) if model.polarity else logits).argmax(1).cpu().numpy()


class Separation(NamedTuple):
    """Measures of how well the classes are separated.

    Attributes:
        silhouette: mean silhouette over the images, in -1..1 (Rousseeuw 1987), with Euclidean distance.
        knn_purity: in 0..1, see the function ``knn_purity``.
    """

    silhouette: float
    knn_purity: float


def separation(points: np.ndarray, labels: Sequence[str], neighbours: int = NEIGHBOURS) -> Separation:
    """Return both measures for (n, F) features or an (n, 2) map.

    Raises:
        GricolZooError: there are fewer than two classes, as many classes as images, or no more images than neighbours.
    """
    from sklearn.metrics import silhouette_score

    classes = len(set(labels))
    if not 2 <= classes < len(labels):
        raise GricolZooError(
            f"Expected at least two classes and more images than classes, but got {len(labels)} and {classes}."
        )
    return Separation(float(silhouette_score(points, labels)), knn_purity(points, labels, neighbours))


def knn_purity(points: np.ndarray, labels: Sequence[str], neighbours: int = NEIGHBOURS) -> float:
    """Return the fraction of an image's nearest neighbours that have its class, averaged over the images, in 0..1.

    Args:
        points: (n, F), compared by Euclidean distance.
        labels: (n,) class names.
        neighbours: number of neighbours. A class with no more images than this cannot reach 1.

    Raises:
        GricolZooError: there are no more images than neighbours.
    """
    from sklearn.neighbors import NearestNeighbors

    check_enough(len(points), neighbours)
    nearest = NearestNeighbors(n_neighbors=neighbours).fit(points).kneighbors(return_distance=False)  # without itself
    names = np.asarray(labels)
    return float((names[nearest] == names[:, None]).mean())


def check_enough(images: int, neighbours: int) -> None:
    """Check that there are more images than neighbours.

    Raises:
        GricolZooError: there are too few (the message says how many are needed).
    """
    if neighbours < 1 or images <= neighbours:
        raise GricolZooError(
            f"Expected at least {max(neighbours, 1) + 1} images for {neighbours}-NN purity, but got {images}. "
            "Give more images, or fewer neighbours."
        )


def tsne(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Map (n, F) features to the plane with t-SNE, starting from the principal components: (n, 2) float32.

    The perplexity is 30, or (n - 1) / 3 if there are fewer than 91 images. The same seed gives the same map on the same machine
    with the same version of scikit-learn and number of threads.

    Raises:
        GricolZooError: there are fewer than 4 images.
    """
    from sklearn.manifold import TSNE

    if len(features) < 4:
        raise GricolZooError(f"Expected at least 4 images to map, but got {len(features)}.")
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    return np.asarray(TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(features))
