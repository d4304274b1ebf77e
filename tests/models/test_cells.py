"""The grid as an object: both kinds, against the model's parts run one by one."""

import copy

import pytest
import torch

from gricol_zoo import create_model
from gricol_zoo.models.cells import MapGrid, PixelGrid
from gricol_zoo.models.lower import pool_map

NAME = "gricol_r18half_n3_128"
CUT = {"splitter": "feature_overlap", "splitter_options": {"stage": 1}}
APART = {**CUT, "overview": "resize"}  # the lower branch sees another image, so no stage is shared


@pytest.mark.parametrize(
    ("changes", "kind", "shared"),
    [
        ({}, PixelGrid, False),
        (CUT, MapGrid, True),
        (APART, MapGrid, False),
        ({"splitter": "none", "head": "none"}, PixelGrid, False),
    ],
)
def test_the_splitter_and_the_overview_choose_the_grid(changes, kind, shared):
    model = create_model(NAME, **changes)
    assert isinstance(model.grid, kind)
    assert model.grid.shared is shared
    assert not [key for key in model.state_dict() if key.startswith("grid")]  # it has no weights


@pytest.mark.parametrize("changes", [{}, {"cell_norm": "shared"}, {"overview": "resize", "cell_norm": "shared"}, CUT, APART])
def test_it_gives_the_map_of_the_one_branch_and_the_features_of_the_other(changes):
    model, x = create_model(NAME, **changes).eval(), torch.randn(2, 1, 128, 96)
    lower_map, features = model.grid(x, model.overview, model.backbone, model.cell_backbone)
    torch.testing.assert_close(lower_map, model.backbone(model.overview(x)))
    torch.testing.assert_close(features, model.grid.features(x, model.backbone, model.cell_backbone))
    assert features.shape == (2, 9, model.num_features)
    if not changes.get("splitter"):
        one = model.cell_backbone(model.splitter(x)[:, 4])
        torch.testing.assert_close(features[:, 4], pool_map(one, "avg"))


def test_without_a_grid_there_are_no_features():
    model, x = create_model("r18half_128").eval(), torch.randn(2, 1, 128, 96)
    lower_map, features = model.grid(x, model.overview, model.backbone, model.cell_backbone)
    assert features.shape == (2, 0, model.num_features)
    torch.testing.assert_close(lower_map, model.backbone(x))


def test_norms_are_shared_in_one_call_only_where_the_sizes_agree():
    sizes = {"image_size": (96, 98), "cell_size": (48, 48)}
    for overview, calls in (("conv", [20]), ("none", [2, 18])):
        model, seen = create_model("gricol_r50half_n3", overview=overview, **sizes), []
        model.backbone.conv1.register_forward_hook(lambda _, given, __, seen=seen: seen.append(len(given[0])))
        model.branches(torch.randn(2, 1, 96, 98))
        assert seen == calls


def test_a_copys_grid_cuts_with_the_copys_splitter():
    model = create_model(NAME)
    twin = copy.deepcopy(model)
    assert twin.grid.splitter is twin.splitter
    assert twin.splitter is not model.splitter
