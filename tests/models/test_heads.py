"""The heads against plain loops written from the equations, in float64 on random numbers."""

import math

import pytest
import torch

from gricol_zoo import HEADS, GricolZooError
from gricol_zoo.models.heads.reconstruction import ReconstructionHead
from gricol_zoo.testing import check_head

FEATURES, CLASSES = 6, 5


def linear(layer, vector):
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    return [sum(w * x for w, x in zip(row, vector, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def naive(head, cells, gate, chain, first="zero", merged_linear=True):
    """Compute one image: ``cells`` is a list of K feature lists; return K logit lists and the merged one."""
    previous, gated, logits = [0.0] * FEATURES, [], []
    for k, y in enumerate(cells):
        content = [a + b for a, b in zip(y, previous, strict=True)] if chain == "recursive" else y
        if gate == "scalar":
            w, b = head.gates[k].weigh.weight[0].tolist(), head.gates[k].weigh.bias.item()
            z = [sum(wi * ci for wi, ci in zip(w, content, strict=True)) + b] * FEATURES
        else:
            w, b = head.gates[k].weight.tolist(), head.gates[k].bias.tolist()
            z = [wi * ci + bi for wi, ci, bi in zip(w, content, b, strict=True)]
        v = [ci / (1 + math.exp(-zi)) for ci, zi in zip(content, z, strict=True)]  # Eq. 2
        rebuilt = linear(head.reconstruct[k], [a + b for a, b in zip(y, previous, strict=True)])  # Eq. 3
        logits.append(linear(head.classifiers[k], rebuilt))
        gated.append(v)
        previous = v
    if first == "cyclic":
        logits[0] = linear(
            head.classifiers[0], linear(head.reconstruct[0], [a + b for a, b in zip(cells[0], previous, strict=True)])
        )
    largest = [max(v[c] for v in gated) for c in range(FEATURES)]  # Eq. 4
    return logits, linear(head.merged_classifier, linear(head.merge, largest) if merged_linear else largest)


@pytest.mark.parametrize("grid", [2, 3, 4])
@pytest.mark.parametrize("gate", ["scalar", "channel"])
@pytest.mark.parametrize("chain", ["literal", "recursive"])
def test_reconstruction_against_the_equations(grid, gate, chain):
    head = ReconstructionHead(FEATURES, grid * grid, CLASSES, gate, chain).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    features = torch.randn(3, grid * grid, FEATURES, dtype=torch.float64)
    cell_logits, merged = head(features)
    for image in range(3):
        logits, whole = naive(head, features[image].tolist(), gate, chain)
        torch.testing.assert_close(cell_logits[image], torch.tensor(logits, dtype=torch.float64))
        torch.testing.assert_close(merged[image], torch.tensor(whole, dtype=torch.float64))


@pytest.mark.parametrize("chain", ["literal", "recursive"])
@pytest.mark.parametrize(("first", "merged_linear"), [("cyclic", True), ("zero", False), ("cyclic", False)])
def test_other_readings_against_the_equations(chain, first, merged_linear):
    head = ReconstructionHead(FEATURES, 4, CLASSES, "scalar", chain, first, merged_linear).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    features = torch.randn(2, 4, FEATURES, dtype=torch.float64)
    cell_logits, merged = head(features)
    for image in range(2):
        logits, whole = naive(head, features[image].tolist(), "scalar", chain, first, merged_linear)
        torch.testing.assert_close(cell_logits[image], torch.tensor(logits, dtype=torch.float64))
        torch.testing.assert_close(merged[image], torch.tensor(whole, dtype=torch.float64))
    maps = sum(name.startswith("merge.") for name, _ in head.named_parameters())
    assert maps == (2 if merged_linear else 0)


@pytest.mark.parametrize("gate", ["scalar", "channel"])
@pytest.mark.parametrize("chain", ["literal", "recursive"])
def test_gate_values_against_loops(gate, chain):
    head = ReconstructionHead(FEATURES, 4, CLASSES, gate, chain).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    features = torch.randn(3, 4, FEATURES, dtype=torch.float64)
    for image in range(3):
        previous = [0.0] * FEATURES
        for k in range(4):
            content = features[image, k].tolist()
            if chain == "recursive":
                content = [a + b for a, b in zip(content, previous, strict=True)]
            opening = openings(head.gates[k], content, gate)
            previous = [a * b for a, b in zip(opening, content, strict=True)]
            assert head.gate_values(features)[image, k].item() == pytest.approx(sum(opening) / FEATURES, rel=1e-12)


def openings(layer, content, gate):
    """One number per channel: sigmoid(w . y + b), or computed from each channel alone."""
    if gate == "scalar":
        w, b = layer.weigh.weight[0].tolist(), layer.weigh.bias.item()
        return [1 / (1 + math.exp(-sum(wi * ci for wi, ci in zip(w, content, strict=True)) - b))] * FEATURES
    return [1 / (1 + math.exp(-w * c - b)) for w, c, b in zip(layer.weight.tolist(), content, layer.bias.tolist(), strict=True)]


@pytest.mark.parametrize("grid", [2, 3, 4])
def test_per_cell_against_loops(grid):
    head = HEADS.get("per_cell")(FEATURES, grid * grid, CLASSES).double()
    features = torch.randn(2, grid * grid, FEATURES, dtype=torch.float64)
    logits, merged = head(features)
    assert merged is None
    for image in range(2):
        for k in range(grid * grid):
            expected = torch.tensor(linear(head.classifiers[k], features[image, k].tolist()), dtype=torch.float64)
            torch.testing.assert_close(logits[image, k], expected)


@pytest.mark.parametrize("name", HEADS.names())
def test_contract(name):
    check_head(name)


@pytest.mark.parametrize(("option", "value"), [("gate", "matrix"), ("chain", "cyclic"), ("first", "one")])
def test_unknown_options(option, value):
    with pytest.raises(GricolZooError, match=f"`{option}` to be one of"):
        ReconstructionHead(4, 4, 4, **{option: value})
