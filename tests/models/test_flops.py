"""Table 2 and the counters."""

import pytest
import torch
from torch import nn

from gricol_zoo import GricolZooError, count, create_model
from gricol_zoo.models import flops


def cut(value):
    """Cut off at one decimal, as the paper's six figures fit."""
    return int(value * 10) / 10


@pytest.mark.parametrize(
    ("grid", "gflops", "params"), [(2, 11.5, 22.1), (3, 26.0, 27.5), pytest.param(4, 46.3, 35.0, marks=pytest.mark.slow)]
)
def test_table_2(grid, gflops, params):
    cost = count(create_model(f"gricol_r50half_n{grid}"))
    assert cut(cost.upper) == gflops
    assert cut(cost.params) == params
    assert cost.image_size == (1, 448, 456)


def test_other_figures_of_the_method():
    control = count(create_model("r50half"))
    assert control.upper == 0
    assert control.lower == pytest.approx(2.894, abs=1e-3)
    assert control.params == control.params_deployed == pytest.approx(16.757, abs=1e-3)
    assert count(create_model("gril_r50half")).params == pytest.approx(16.98, abs=5e-3)
    small = create_model("resnet50", image_size=224)
    assert count(small).lower == pytest.approx(4.03, abs=5e-3)
    assert count(small).params == pytest.approx(23.551, abs=1e-3)


def test_a_joint_classifier_has_two_outputs_a_class():
    told, plain = (count(create_model("r18half_192", polarity=polarity)) for polarity in (True, False))
    assert (told.params - plain.params) * 1e6 == pytest.approx(24 * (256 + 1))
    assert told.params == told.params_deployed
    assert (told.lower - plain.lower) * 1e9 == pytest.approx(24 * 256)


def test_a_convolution_by_hand():
    layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    counted = flops._count(layer, layer, torch.zeros(1, 3, 10, 12)) * 1e9
    assert counted == pytest.approx(3 * 8 * 9 * 10 * 12)


def test_counting_leaves_the_mode_alone():
    model = create_model("r18half_128", image_size=(64, 64))
    count(model)
    assert model.training
    model.eval()
    count(model)
    assert not model.training


def test_counters_that_disagree_are_an_error(monkeypatch):
    monkeypatch.setattr(flops, "MATRIX_OPERATORS", ("linear",))
    with pytest.raises(GricolZooError, match="Do not use either figure"):
        count(create_model("r18half_128", image_size=(64, 64)))


def test_attention_is_counted():
    changes = {"backbone": "timm/vit_tiny_patch16_224", "image_size": (64, 64), "cell_size": (32, 32), "overview": "resize"}
    model = create_model("gricol_r50half_n2", **changes)
    tokens, width, depth = 2 * 2 + 1, 192, 12
    block = tokens * width * width * 12 + 2 * tokens * tokens * width
    stem = 4 * 16 * 16 * width
    assert count(model).lower * 1e9 >= depth * block + stem
