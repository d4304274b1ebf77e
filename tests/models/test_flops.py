"""Table 2 and the counters."""

import pytest
import timm
import torch
from torch import nn

import gricol_zoo.timm_bridge  # noqa: F401  (registers)
from gricol_zoo import GricolZooError, count, create_model, optimize
from gricol_zoo.models import flops


def cut(value):
    """Cut off at one decimal, which reproduces the paper's six figures."""
    return int(value * 10) / 10


@pytest.mark.parametrize(
    ("grid", "gflops", "params"), [(2, 11.5, 22.1), (3, 26.0, 27.5), pytest.param(4, 46.3, 35.0, marks=pytest.mark.slow)]
)
def test_table_2(grid, gflops, params):
    cost = count(create_model(f"gricol_r50half_n{grid}"))
    assert cut(cost.upper) == gflops
    assert cut(cost.params) == params
    assert cost.image_size == (1, 448, 456)


@pytest.mark.slow
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
    model.backbone.eval()
    modes = [module.training for module in model.modules()]
    count(model)
    assert [module.training for module in model.modules()] == modes


def test_counters_that_disagree_are_an_error(monkeypatch):
    monkeypatch.setattr(flops, "MATRIX_OPERATORS", ("linear",))
    with pytest.raises(GricolZooError, match="Do not use either figure"):
        count(create_model("r18half_128", image_size=(64, 64)))


# Multiply-adds of matrix products by hand, from timm's own widths; fvcore adds the norms and poolings.
ATTENTION = {  # name: image side, fvcore's total, matrix products alone (1e9)
    "vit_tiny_patch16_224": (224, 1.258, 1.2537),
    "vit_small_patch16_224": (224, 4.608, 4.5989),
    "eva02_tiny_patch14_224": (224, 1.703, 1.6975),
    "swin_tiny_patch4_window7_224": (224, 4.509, 4.4906),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_is_counted(name):
    side, total, matrices = ATTENTION[name]
    cost = count(timm.create_model(name))
    assert cost.image_size == (3, side, side)
    assert cost.lower == pytest.approx(total, abs=1e-3)
    assert cost.lower == pytest.approx(matrices, rel=0.01)
    assert (cost.upper, cost.full, cost.params) == (0, cost.lower, cost.params_deployed)


def test_attention_by_hand():
    model = create_model("r50half", backbone="timm/vit_tiny_patch16_224", image_size=224)
    tokens, width, depth = 14 * 14 + 1, 192, 12
    block = tokens * width * width * 12 + 2 * tokens * tokens * width
    stem = 14 * 14 * 16 * 16 * width
    norms = (2 * depth + 1) * tokens * width * 5
    assert count(model).lower * 1e9 == pytest.approx(depth * block + stem + norms + 24 * width, rel=2e-3)


FORMS = {
    "deployed": lambda model: model.deploy(),
    "bf16": lambda model: model.bfloat16(),
    "half": lambda model: model.half(),
    "double": lambda model: model.double(),
    "deployed, bf16": lambda model: model.deploy().bfloat16(),
    "by timm": lambda model: timm.create_model("gricol_r18half_n3_128"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_and_dtype_is_counted(form):
    plain = count(create_model("gricol_r18half_n3_128"))
    model = FORMS[form](create_model("gricol_r18half_n3_128"))
    kinds = {parameter.dtype for parameter in model.parameters()}
    cost = count(model)
    assert cost.lower == pytest.approx(plain.lower)
    assert cost.params_deployed == plain.params_deployed
    assert cost.upper == (plain.upper if "deployed" not in form and form != "by timm" else 0)
    assert {parameter.dtype for parameter in model.parameters()} == kinds


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_an_optimized_model_is_counted_without_its_norms(dtype):
    plain = create_model("r18half_128")
    saved = count(plain).lower - count(optimize(plain, dtype)).lower
    assert 0 < saved < 0.01 * count(plain).lower


def test_a_network_of_another_library_is_sent_elsewhere():
    with pytest.raises(GricolZooError, match="Expected a model of gricol_zoo or timm, but got Linear"):
        count(nn.Linear(3, 3))
