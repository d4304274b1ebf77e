"""The paper's reconstruction network (Eq. 2-4): (B, K, F) -> (cell logits (B, K, classes), merged logits (B, classes)).

With y_k the pooled features of cell k (k = 1..K) and v_0 = 0:

    v_k = sigmoid(w_k . y_k + b_k) * y_k           Eq. 2; the printed sign is absorbed by w_k and b_k
    Y_k = W'_k (y_k + v_{k-1}) + b'_k              Eq. 3
    Y_0 = W'_0 max_k(v_k) + b'_0                   Eq. 4, with the linear map that Table 2's parameters demand (an option)

and one linear classifier each for Y_1..Y_K and Y_0. What the paper leaves open is an option;
docs/reference/method.md gives the reasons.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.heads.registry import HEADS


class ScalarGate(nn.Module):
    """One number per cell: (B, F) -> (B, 1) in (0, 1)."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(num_features, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) -> (B, 1)."""
        return torch.sigmoid(self.weigh(features))


class ChannelGate(nn.Module):
    """One number per channel, each from that channel alone: (B, F) -> (B, F) in (0, 1)."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_features) * num_features**-0.5)
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) -> (B, F)."""
        return torch.sigmoid(self.weight * features + self.bias)


GATES: dict[str, type[ScalarGate] | type[ChannelGate]] = {"scalar": ScalarGate, "channel": ChannelGate}
CHAINS = ("literal", "recursive")
FIRSTS = ("zero", "cyclic")


@HEADS.register("reconstruction")
class ReconstructionHead(nn.Module):
    """Gate the cells, chain each to the one before, merge them all.

    Args:
        num_features: F.
        num_cells: K.
        num_classes: classes.
        gate: "scalar" (one number per cell) or "channel" (one per channel); Table 2 admits both.
        chain: "literal" gates y_k as Eq. 2 is printed; "recursive" gates y_k + v_{k-1}, as the text's "v_k always
            contains v_{k-1}" suggests.
        first: v_0, which enters Y_1: "zero", or "cyclic", the v of the last cell. (A recursive chain still starts from 0.)
        merged_linear: the linear map before Y_0's classifier; without it Y_0 is the maximum itself, as Eq. 4 is printed.

    Raises:
        GricolZooError: an unknown gate, chain or first.
    """

    def __init__(
        self,
        num_features: int,
        num_cells: int,
        num_classes: int,
        gate: str = "scalar",
        chain: str = "literal",
        first: str = "zero",
        merged_linear: bool = True,
    ) -> None:
        super().__init__()
        if gate not in GATES:
            raise GricolZooError(f"Expected `gate` to be one of {', '.join(GATES)}, but got {gate!r}.")
        if chain not in CHAINS:
            raise GricolZooError(f"Expected `chain` to be one of {', '.join(CHAINS)}, but got {chain!r}.")
        if first not in FIRSTS:
            raise GricolZooError(f"Expected `first` to be one of {', '.join(FIRSTS)}, but got {first!r}.")
        self.recursive = chain == "recursive"
        self.cyclic = first == "cyclic"
        self.gates = nn.ModuleList(GATES[gate](num_features) for _ in range(num_cells))
        self.reconstruct = nn.ModuleList(nn.Linear(num_features, num_features) for _ in range(num_cells))
        self.merge = nn.Linear(num_features, num_features) if merged_linear else nn.Identity()
        self.classifiers = nn.ModuleList(nn.Linear(num_features, num_classes) for _ in range(num_cells))
        self.merged_classifier = nn.Linear(num_features, num_classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K, F) -> (B, K, classes), (B, classes)."""
        gated = self.gated(features)
        logits = []
        previous = gated[:, -1] if self.cyclic else torch.zeros_like(features[:, 0])
        for k, (reconstruct, classify) in enumerate(zip(self.reconstruct, self.classifiers, strict=True)):
            logits.append(classify(reconstruct(features[:, k] + previous)))
            previous = gated[:, k]
        merged = self.merge(gated.amax(dim=1))
        return torch.stack(logits, dim=1), self.merged_classifier(merged)

    def gated(self, features: Tensor) -> Tensor:
        """Return v_1..v_K: (B, K, F) -> (B, K, F)."""
        return torch.stack([gate * content for gate, content in self._opened(features)], dim=1)

    def gate_values(self, features: Tensor) -> Tensor:
        """Return the sigmoids of Eq. 2; for a channel gate, their mean over the channels: (B, K, F) -> (B, K) in (0, 1)."""
        return torch.stack([gate.mean(dim=1) for gate, _ in self._opened(features)], dim=1)

    def _opened(self, features: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return each cell's gate, (B, 1) or (B, F), and what it gates, (B, F)."""
        opened: list[tuple[Tensor, Tensor]] = []
        for k, gate in enumerate(self.gates):
            content = features[:, k]
            if self.recursive and k > 0:
                opening, before = opened[-1]
                content = content + opening * before
            opened.append((gate(content), content))
        return opened
