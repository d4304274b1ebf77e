"""A small neural network: trained with scikit-learn, stored as plain arrays, evaluated with numpy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from gricol_zoo.errors import GricolZooError
from gricol_zoo.inference.calibration import softmax


@dataclass(frozen=True)
class Network:
    """Standardised features -> tanh layers -> softmax; float64 throughout.

    Attributes:
        mean, deviation: (F,) mean and standard deviation of the training features.
        weights, biases: one (inputs, outputs) and one (outputs,) array per layer.
        classes: (C,) int64, the class of each output.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    classes: np.ndarray

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return (n, C) float64 probabilities of (n, F) features.

        Raises:
            GricolZooError: ``features`` has another shape.
        """
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise GricolZooError(f"Expected features of shape (n, {len(self.mean)}), but got {features.shape}.")
        x = (features - self.mean) / self.deviation
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.tanh(x @ weight + bias)
        return softmax(x @ self.weights[-1] + self.biases[-1])

    @property
    def sizes(self) -> list[int]:
        """The number of features, of units in each hidden layer, and of classes."""
        return [len(self.mean), *(len(bias) for bias in self.biases)]


def fit_network(features: np.ndarray, labels: np.ndarray, hidden: int, alpha: float, epochs: int, seed: int) -> Network:
    """Train a network with one hidden layer by scikit-learn's ``MLPClassifier`` (tanh, Adam).

    Args:
        features: (n, F).
        labels: (n,) int.
        hidden: units of the hidden layer.
        alpha: weight of the L2 penalty in the loss.
        epochs: the most epochs to train.
        seed: of the initial weights and the order of the images.

    Raises:
        GricolZooError: there is nothing to train on.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    if not len(features):
        raise GricolZooError("Expected at least one image to train on, but got none.")
    mean, deviation = features.mean(0), features.std(0)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    classes = np.unique(labels)
    if len(classes) == 1:  # nothing to learn: the one output always has probability 1
        return Network(mean, deviation, (np.zeros((len(mean), 1)),), (np.zeros(1),), classes)
    trained = MLPClassifier((hidden,), activation="tanh", alpha=alpha, max_iter=epochs, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is a setting, not an accident
        trained.fit((features - mean) / deviation, labels)
    weights, biases = list(trained.coefs_), list(trained.intercepts_)
    if len(classes) == 2:  # scikit-learn then has one logistic output, which equals a softmax over itself and 0
        weights[-1] = np.concatenate([np.zeros_like(weights[-1]), weights[-1]], 1)
        biases[-1] = np.concatenate([np.zeros(1), biases[-1]])
    return Network(mean, deviation, tuple(weights), tuple(biases), classes)
