"""The comparison systems: their sizes against the published ones, and each mechanism against a plain reference."""

import math

import pytest
import torch
from helpers.baselines import CLASSES, cross_entropy, first_logits, net, objective
from helpers.models import LIGHT
from torch.nn import functional as F

from benchmarks.common.record import RESULTS
from benchmarks.paper import baselines
from gricol_zoo import GricolZooError, GridLoss, TrainingTask, create_model
from gricol_zoo.data.rows import read_csv
from gricol_zoo.models.backbones.resnet import BasicBlock
from gricol_zoo.models.baselines.anchors import Level, Navigator, choose, crop
from gricol_zoo.models.baselines.bcnn import bilinear, vgg16
from gricol_zoo.models.baselines.dcl import region_confusion, shuffle
from gricol_zoo.models.baselines.ntsnet import ranking_loss
from gricol_zoo.models.baselines.siamese2017 import pairs
from gricol_zoo.training.checks import check_phases
from gricol_zoo.training.recipes import Recipe

OWN_OBJECTIVE = {
    "abn_r50": {"image_size": (64, 64), "backbone_options": LIGHT},
    "dcl_r50": {"image_size": (64, 64), "backbone_options": LIGHT},
    "ntsnet_r50": {"image_size": (64, 64), "backbone_options": LIGHT},
    "siamese2017": {"image_size": (64, 16)},
    "racnn_r50": {"image_size": (64, 64), "backbone_options": {**LIGHT, "width": 4}},
    "varifocal_r50": {"image_size": (64, 64), "backbone_options": LIGHT},
}

HEAVY = ("racnn_r50", "varifocal_r50")  # their registered sizes are built, on the meta device, before a file is read

# Sizes


def assert_near(rows):
    for row in rows:
        limit = 1.2 if row["name"] == "ntsnet_r50" else 1  # given as "about 26.2"
        for key in ("params", "gflops"):
            off = row[f"{key}_difference"]
            assert off == "" or abs(float(off)) < limit, (row["name"], key, off)


LIGHTEST = ("sharma2017", "siamese2017", "hu2019")


def test_parameters_and_gflops_of_the_lightest():
    assert_near(baselines.rows(LIGHTEST))


@pytest.mark.slow
def test_parameters_and_gflops_of_all():
    assert_near(baselines.rows())


@pytest.mark.slow
def test_parameters_are_those_of_the_descriptions():
    for name, (_, expected, _, _) in baselines.REFERENCES.items():
        if name == "hrnet_w18_joints":  # takes longer to build than all others; the slow test counts it
            continue
        with torch.device("meta"):
            model = create_model(name)
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        assert expected is None or millions == pytest.approx(expected, rel=0.012 if name == "ntsnet_r50" else 0.01), name


def test_the_committed_table_is_near_the_descriptions():
    rows = read_csv(RESULTS / "paper" / "baselines.csv")
    assert [row["name"] for row in rows] == list(baselines.REFERENCES)
    assert_near(rows)


def test_layers_add_up():
    def conv(i, o, k, bias=True):
        return i * o * k * k + (o if bias else 0)

    def linear(i, o, bias=True):
        return i * o + (o if bias else 0)

    r50 = 23_501_760  # ResNet-50 of one channel without its classifier
    sizes = (1, 64, 64, 32, 32, 16, 16, 8, 8)
    stages = sum(conv(i, o, 3) for i, o in zip((1, *sizes[1:-1]), sizes[1:], strict=True))
    expected = {
        "sharma2017": stages + linear(72, 1024) + linear(1024, 512) + linear(512, 24),
        "siamese2017": conv(1, 64, 3)
        + conv(64, 128, 3)
        + 2 * (64 + 128 + 512 + 256)
        # 128 channels of 32x8
        + linear(128 * 32 * 8, 512)
        + linear(512, 256)
        + linear(256, 24)
        + linear(512, 1),
        "dcl_r50": r50 + 3 * linear(2048, 24, False) + 24 + conv(2048, 1, 1),
        "ntsnet_r50": r50
        + conv(2048, 128, 3)
        + 2 * conv(128, 128, 3)
        + conv(128, 6 + 6 + 9, 1)
        + linear(5 * 2048, 24)
        # of the whole and of a region
        + 2 * linear(2048, 24),
        "kernelpool_r50": r50 + 4 + linear(2048 + 3 * 4096, 24),
        "maskcnn_r50": r50 + conv(2048, 128, 1, False) + 2 * 128 + conv(128, 3, 3) + linear(4 * 4096, 24),
        "racnn_r50": 3 * r50
        # maps of 14x15 and of 7x8
        + sum(conv(2048, 64, 1) + linear(64 * size, 1024) + linear(1024, 3) for size in (14 * 15, 7 * 8))
        + 3 * linear(2048, 24)
        + linear(3 * 2048, 24),
        "varifocal_r50": 2 * r50
        + linear(2048, 512)
        + linear(512, 3)
        + linear(4096, 512)
        + linear(512, 24)
        # of the image and of its part
        + 2 * linear(2048, 24),
    }
    for name, number in expected.items():
        with torch.device("meta"):
            model = create_model(name)
        assert sum(parameter.numel() for parameter in model.parameters()) == number, name


# What only the objective needs


@pytest.mark.parametrize("name", OWN_OBJECTIVE)
def test_what_the_objective_alone_needs_is_not_deployed(name):
    model = create_model(name, **OWN_OBJECTIVE[name]).eval()
    deployed = model.deploy()
    assert any(key.startswith("backbone.auxiliary.") for key in model.state_dict())
    assert not any("auxiliary" in key for key in deployed.state_dict())
    images = torch.randn(2, 1, *model.spec.image_size)
    assert torch.equal(deployed(images), model(images))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in OWN_OBJECTIVE]
)
def test_weights_load_with_other_classes(name, tmp_path):
    model = create_model(name, **OWN_OBJECTIVE[name]).eval()
    model.save_pretrained(tmp_path)
    images = torch.randn(2, 1, *model.spec.image_size)
    features = create_model(f"local-dir:{tmp_path}", pretrained=True).forward_features(images)
    for classes in (5, 0):
        other = create_model(f"local-dir:{tmp_path}", pretrained=True, deployed=classes == 0, num_classes=classes)
        assert all(key.startswith(("classifier.", "backbone.auxiliary.")) for key in other.load_report.new)
        assert torch.equal(other.forward_features(images), features)
    model.reset_classifier(4)
    loss = TrainingTask(model, GridLoss())(images, torch.tensor([0, 3]), 40.0)
    assert loss.isfinite()


# Attention branch network


def test_abn_weighs_the_features_by_one_map_and_keeps_them():
    abn, images = net("abn", **LIGHT), torch.randn(2, 1, 64, 64)
    trunk, attention = abn.trunk, abn.attention_map(images)
    x = trunk.layer3(trunk.layer2(trunk.layer1(trunk.act1(trunk.bn1(trunk.conv1(images))))))
    assert attention.shape == (2, 1, *x.shape[2:])
    assert 0 < attention.min() < attention.max() < 1
    weighed = x.clone()
    for image in range(2):
        for channel in range(x.shape[1]):
            weighed[image, channel] = x[image, channel] * attention[image, 0] + x[image, channel]
    torch.testing.assert_close(abn(images), trunk.layer4(weighed))


@pytest.mark.parametrize("labels", [torch.tensor([0, 2]), torch.tensor([[0.5, 0.5, 0], [0, 0.25, 0.75]])])
def test_abn_trains_both_classifiers(labels):
    abn, images = net("abn", **LIGHT), torch.randn(2, 1, 64, 64)
    maps = abn.branch(abn.trunk.before_last_stage(images))
    auxiliary = torch.einsum("bchw,kc->bk", maps, abn.auxiliary.weight[:, :, 0, 0]) / maps[0, 0].numel()
    expected = cross_entropy(first_logits(abn(images)), labels) + cross_entropy(auxiliary, labels)
    torch.testing.assert_close(objective(abn, images, labels), expected)


# Destruction and construction


@pytest.mark.parametrize(("grid", "reach"), [(7, 2), (3, 2), (7, 3), (5, 1)])
def test_patches_move_each_once_and_not_far(grid, reach):
    index = region_confusion(200, grid, reach)
    assert (index.sort(1).values == torch.arange(grid**2)).all()
    place = torch.arange(grid**2)
    down, across = (index // grid - place // grid).abs(), (index % grid - place % grid).abs()
    assert down.max() == across.max() == reach - 1
    assert torch.equal(region_confusion(1, grid, 1)[0], place)


def test_shuffling_copies_whole_patches():
    images, grid = torch.arange(2 * 3 * 10 * 13.0).reshape(2, 3, 10, 13), 3
    index = region_confusion(2, grid)
    expected = images.clone()  # a row and a column are left over
    for image in range(2):
        for place, source in enumerate(index[image].tolist()):
            (y, x), (v, u) = divmod(place, grid), divmod(source, grid)
            patch = images[image, :, 3 * v : 3 * v + 3, 4 * u : 4 * u + 4]
            expected[image, :, 3 * y : 3 * y + 3, 4 * x : 4 * x + 4] = patch
    got = shuffle(images, index, grid)
    assert torch.equal(got, expected)
    assert not torch.equal(got, images)
    with pytest.raises(GricolZooError, match="at least 11x11 pixels to cut into tiles, but got 10x13"):
        shuffle(images, index, 11)


@pytest.mark.parametrize("labels", [torch.tensor([0, 2]), torch.tensor([[0.5, 0.5, 0], [0, 0.25, 0.75]])])
def test_dcl_adds_three_losses(labels):
    dcl, images = net("dcl", (128, 128), grid=4, gamma=3, **LIGHT), torch.randn(2, 1, 128, 128)
    torch.manual_seed(5)
    index = region_confusion(2, 4)
    both = torch.cat([images, shuffle(images, index, 4)])
    maps = dcl.trunk(both)
    pooled = maps.mean((-2, -1))
    told = torch.cat([pooled @ dcl.auxiliary.whole.weight.T, pooled @ dcl.auxiliary.shuffled.weight.T], 1)
    if labels.ndim == 1:
        kinds = torch.cat([labels, labels + CLASSES])
    else:
        kinds = torch.zeros(4, 2 * CLASSES)
        kinds[:2, :CLASSES] = kinds[2:, CLASSES:] = labels
    where = torch.tanh(F.conv2d(maps, dcl.auxiliary.location.weight, dcl.auxiliary.location.bias))
    assert where.shape[-2:] == (4, 4)
    off = 0.0
    for image in range(4):
        for place in range(16):
            source = place if image < 2 else int(index[image - 2, place])
            off += abs(where[image, 0, place // 4, place % 4].item() - (source / 15 - 0.5)) / 64
    expected = cross_entropy(first_logits(maps), torch.cat([labels, labels])) + cross_entropy(told, kinds) + 3 * off
    torch.testing.assert_close(objective(dcl, images, labels), expected)


def test_the_location_is_where_each_patch_came_from():
    dcl, index = net("dcl", grid=4, **LIGHT), region_confusion(3, 4)
    dcl.auxiliary.location = torch.nn.Identity()
    true = torch.cat([torch.arange(16).expand(3, 16), index]) / 15 - 0.5
    maps = true.atanh().reshape(6, 1, 4, 4)
    assert dcl._location(maps, index).item() == pytest.approx(0, abs=1e-6)
    assert dcl._location(maps, index.flip(1)).item() > 0.1


# Bilinear CNN


def test_bilinear_is_every_product_of_two_channels():
    x = torch.randn(2, 5, 3, 4)
    x[:, 0] = 0  # its products are 0, where a square root has no slope
    x.requires_grad_()
    got = bilinear(x)
    for image in range(2):
        products = torch.zeros(5, 5)
        for i in range(5):
            for j in range(5):
                mean = float((x[image, i] * x[image, j]).mean().detach())
                products[i, j] = math.copysign(math.sqrt(abs(mean) + 1e-5), mean) if mean else 0
        torch.testing.assert_close(got[image], products.flatten() / products.norm())
    got.square().sum().backward()
    assert x.grad.isfinite().all()
    assert bilinear(torch.zeros(1, 5, 2, 2)).isfinite().all()
    with torch.autocast("cpu", torch.bfloat16):
        assert bilinear(x).dtype == torch.float32


def test_the_vgg_is_timms():
    from timm.models.vgg import VGG, cfgs

    theirs = VGG(cfgs["vgg16"], num_classes=0, in_chans=1, mlp_ratio=1 / 4096).features
    ours, images = vgg16(1), torch.randn(1, 1, 32, 32)
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours(images), theirs[:-1](images))


# NTS-Net


def test_anchors_by_hand():
    scores, boxes = Navigator(4)(torch.randn(2, 4, 14, 14))  # of an image of 448x448
    assert scores.shape == (2, 14 * 14 * 6 + 7 * 7 * 6 + 4 * 4 * 9) == (2, 1614)
    assert boxes.shape == (1614, 4)
    # side 48 * 2 ** (1/3) = 60.476, height / width 2/3: 49.378 x 74.068 around (16, 16)
    torch.testing.assert_close(boxes[0], torch.tensor([-8.689, -21.034, 40.689, 53.034]), atol=1e-3, rtol=0)
    # the last: side 192 * 2 ** (2/3) = 304.781, 1.5: 373.279 x 248.853 around (448, 448)
    torch.testing.assert_close(boxes[-1], torch.tensor([261.360, 323.574, 634.640, 572.426]), atol=1e-3, rtol=0)


def test_a_score_belongs_to_its_box():
    level = Level(1, 32, 48, (1, 2))
    torch.nn.init.zeros_(level.score.bias)
    level.score.weight.data = torch.arange(1.0, 7).reshape(6, 1, 1, 1)  # the last anchor has the highest score
    x = torch.zeros(1, 1, 3, 5)
    x[0, 0, 1, 4] = 1
    scores, boxes = level(x)
    box = boxes[scores.argmax()]
    side = 48 * 2 ** (2 / 3)
    assert ((box[:2] + box[2:]) / 2).tolist() == pytest.approx([1.5 * 32, 4.5 * 32])
    assert (box[2:] - box[:2]).tolist() == pytest.approx([side * 1.5**0.5, side / 1.5**0.5])


def test_boxes_are_chosen_as_by_torchvision():
    from torchvision.ops import nms

    corner = torch.rand(60, 2) * 60
    boxes, scores = torch.cat([corner, corner + 10 + 40 * torch.rand(60, 2)], 1), torch.randn(3, 60)
    got = choose(scores, boxes, 4)
    for image in range(3):
        assert got[image].tolist() == nms(boxes, scores[image], 0.25)[:4].tolist()
    same = boxes[:1].expand(3, 4)  # all but one suppressed: the next best still comes
    assert choose(torch.tensor([[1.0, 3.0, 2.0]]), same, 3).tolist() == [[1, 2, 0]]


def test_regions_are_cut_out_and_enlarged():
    images = torch.randn(2, 3, 16, 20)  # regions are brought to 8x10
    boxes = torch.tensor([[3.0, 5, 11, 15], [4, 6, 8, 11], [-16, -20, 16, 20]]).expand(2, 3, 4)
    parts = crop(images, boxes).reshape(2, 3, 3, 8, 10)
    torch.testing.assert_close(parts[:, 0], images[:, :, 3:11, 5:15])
    twice = F.interpolate(images[:, :, 4:8, 6:11], (8, 10), mode="bilinear", align_corners=False)
    torch.testing.assert_close(parts[:, 1, :, 1:-1, 1:-1], twice[:, :, 1:-1, 1:-1])  # its rim reads the neighbours too
    assert not parts[:, 2, :, :4].any()
    assert parts[:, 2, :, 4:, 5:].all()


def test_ranking_is_a_hinge_over_pairs():
    scores, losses = torch.randn(3, 4), torch.rand(3, 4)
    expected = 0.0
    for s, loss in zip(scores.tolist(), losses.tolist(), strict=True):
        for better in range(4):
            for worse in range(4):
                if loss[better] < loss[worse]:
                    expected += max(0.0, 1 - (s[better] - s[worse])) / 3
    assert float(ranking_loss(scores, losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("labels", [torch.tensor([0, 2]), torch.tensor([[0.5, 0.5, 0], [0, 0.25, 0.75]])])
def test_ntsnet_adds_four_losses(labels):
    nts, images = net("ntsnet", **LIGHT), torch.randn(2, 1, 64, 64)
    maps = nts.trunk(images)
    scores, boxes = nts.navigator(maps)
    best = choose(scores, boxes, 6)
    regions = torch.stack([nts.trunk(crop(images[i : i + 1], boxes[best[i : i + 1]])).mean((-2, -1)) for i in range(2)])
    features = torch.cat([maps.mean((-2, -1)), *regions[:, :4].unbind(1)], 1)
    torch.testing.assert_close(nts(images)[:, :, 0, 0], features)
    whole, region = nts.auxiliary["whole"], nts.auxiliary["region"]
    each = torch.stack([cross_entropy(region(regions[i, k : k + 1]), labels[i : i + 1]) for i in range(2) for k in range(6)])
    expected = cross_entropy(whole(maps.mean((-2, -1))), labels) + cross_entropy(features[:, :CLASSES], labels)
    expected = expected + each.mean() + ranking_loss(scores.gather(1, best), each.reshape(2, 6))
    loss = objective(nts, images, labels)
    torch.testing.assert_close(loss, expected)
    ranking_loss(scores.gather(1, best), each.reshape(2, 6).detach()).backward()
    assert all(parameter.grad is not None for parameter in nts.navigator.parameters())


def test_the_ranking_trains_the_navigator_alone():
    nts = net("ntsnet", **LIGHT)
    _, regions, scores = nts.look(torch.randn(2, 1, 64, 64), 6)
    ranking_loss(scores, torch.rand(2, 6) + 0 * regions.sum()).backward()
    assert nts.navigator.down1.weight.grad.any()
    assert all(parameter.grad is None for parameter in nts.trunk.parameters())


# Siamese


def test_pairs_are_of_both_kinds():
    classes = torch.tensor([0, 1, 0, 2, 1, 3, 0, 1])
    same, other = pairs(classes)
    assert same[0].tolist() == [0, 1, 2, 4, 6, 7]  # 3 and 5 have nobody
    assert other[0].tolist() == list(range(8))
    for first, second in zip(*same, strict=True):
        assert first != second
        assert classes[first] == classes[second]
    assert all(classes[first] != classes[second] for first, second in zip(*other, strict=True))
    partners = {tuple(pairs(classes)[0][1].tolist()) for _ in range(20)}
    assert len(partners) > 5  # drawn again each time
    assert len(pairs(torch.tensor([0, 1]))) == len(pairs(torch.tensor([1, 1]))) == 1
    with pytest.raises(GricolZooError, match="at least two images"):
        pairs(torch.tensor([0]))


@pytest.mark.parametrize("labels", [torch.tensor([0, 1, 0]), torch.tensor([[0.9, 0.1, 0], [0, 1, 0], [0.5, 0.2, 0.3]])])
def test_pairs_are_told_apart_in_the_first_stage(labels):
    siamese, images = net("siamese2017", (64, 16)), torch.randn(3, 1, 64, 16)
    features = siamese.twin(images)
    torch.manual_seed(5)
    kinds = []
    for first, second in pairs(labels if labels.ndim == 1 else labels.argmax(1)):
        losses = []
        for i, j in zip(first.tolist(), second.tolist(), strict=True):
            said = torch.sigmoid(siamese.auxiliary((features[i] - features[j]).abs()))
            equal = float(labels[i] == labels[j]) if labels.ndim == 1 else float(labels[i] @ labels[j])
            losses.append((said - equal) ** 2)
        kinds.append(torch.stack(losses).mean())
    torch.testing.assert_close(objective(siamese, images, labels, 34.0), (kinds[0] + kinds[1]) / 2)


def test_the_twin_is_frozen_in_the_second_stage():
    siamese, images = net("siamese2017", (64, 16)).train(), torch.randn(4, 1, 64, 16)
    labels = torch.tensor([0, 1, 1, 2])
    objective(siamese, images, labels, 34.0).backward()
    trained = {key for key, parameter in siamese.named_parameters() if parameter.grad is not None}
    assert trained == {key for key, _ in siamese.named_parameters() if key.startswith(("twin.", "auxiliary."))}
    siamese.zero_grad(set_to_none=True)
    before = {key: value.clone() for key, value in siamese.twin.state_dict().items()}
    objective(siamese.train(), images, labels, 35.0).backward()
    trained = {key for key, parameter in siamese.named_parameters() if parameter.grad is not None}
    assert trained == {key for key, _ in siamese.named_parameters() if key.startswith("fc.")}
    assert all(torch.equal(value, before[key]) for key, value in siamese.twin.state_dict().items())


def test_a_recipe_that_ends_before_the_last_stage_is_refused():
    def task(**changes):
        return TrainingTask(create_model(**{"name": "siamese2017", "image_size": (32, 16), **changes}), GridLoss())

    with pytest.raises(GricolZooError, match="starts after 35 epochs, but the recipe has 24"):
        check_phases(task(), "siamese2017", Recipe(epochs=24))
    check_phases(task(backbone_options={"pair_epochs": 10}), "siamese2017", Recipe(epochs=24))
    check_phases(task(name="hu2019", image_size=(64, 64)), "hu2019", Recipe(epochs=1))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("sharma2017", {"image_size": (30, 30)}, "30x30 pixels is too small"),
        ("dcl_r50", {"backbone_options": {"grid": 1}}, "`grid` to be at least 2, but got 1"),
        ("ntsnet_r50", {"backbone_options": {"parts": 7}}, "`regions` <= 21, but got 7 and 6"),
        ("kernelpool_r50", {"backbone_options": {"order": 1}}, "`order` and `sketch` of at least 2, but got 1 and 4096"),
        ("racnn_r50", {"backbone_options": {"choice_epochs": 0}}, "`choice_epochs` to be at least 1, but got 0"),
        ("varifocal_r50", {"backbone_options": {"box_epochs": 20}}, "0 < `box_epochs` < `network_epochs`, but got 20 and 20"),
        ("hrnet_w18_joints", {"backbone_options": {"trunk": "hu2019"}}, "several levels, but 'hu2019' gives one"),
    ],
)
def test_mistakes_are_named(name, changes, message):
    with pytest.raises(GricolZooError, match=message):
        create_model(name, **changes)


# Table 3


def test_multiregion_sees_quadrants_centre_and_all():
    multi, images = net("multiregion", (66, 70), **LIGHT), torch.randn(2, 1, 66, 70)
    whole = F.interpolate(images, (33, 35), mode="bilinear", align_corners=False)
    corners = [images[:, :, y : y + 33, x : x + 35] for y, x in ((0, 0), (0, 35), (33, 35), (33, 0), (16, 17))]
    expected = torch.cat([multi.trunks[0](region).mean((-2, -1)) for region in [*corners, whole]], 1)
    torch.testing.assert_close(multi(images)[:, :, 0, 0], expected)


def test_mmhpn_pools_stripes():
    mmhpn, images = net("mmhpn", (96, 64), **LIGHT), torch.randn(2, 1, 96, 64)
    third = BasicBlock(256, 256, 1, 1)  # the light trunk has two, so that one more makes it the paper's case
    torch.nn.init.normal_(third.conv2.weight, std=0.1)
    mmhpn.trunk.layer4.append(third)
    mmhpn.eval()
    first = mmhpn.trunk.layer4[0](mmhpn.trunk.before_last_stage(images))
    second = mmhpn.trunk.layer4[1](first)
    last = third(second)
    assert last.shape[2:] == (6, 4)  # h/16 x w/16
    parts = []
    for count, block in ((1, last), (2, second), (4, first), (8, first)):
        for i in range(count):
            rows = block[:, :, i * 6 // count : -((-(i + 1) * 6) // count)]
            parts.append(rows.mean((2, 3), keepdim=True))
    expected = torch.cat([mmhpn.reduce[i](part) for i, part in enumerate(parts)], 1)
    torch.testing.assert_close(mmhpn(images), expected)
