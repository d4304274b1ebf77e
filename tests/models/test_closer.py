"""Systems that zoom in, look at parts, or combine several channels: each mechanism against a plain reference."""

import math

import numpy as np
import pytest
import torch
from helpers.baselines import CLASSES, cross_entropy, first_logits, net, objective, shapes_of
from helpers.models import LIGHT
from torch.nn import functional as F

from gricol_zoo.models.baselines.hrnet import heat_maps, padded
from gricol_zoo.models.baselines.kernelpool import taylor
from gricol_zoo.models.baselines.maskcnn import part_loss, pool_inside
from gricol_zoo.models.baselines.racnn import ranking_loss, strongest
from gricol_zoo.models.baselines.zoom import box_losses, enlarge, frozen, square_around, to_boxes, within

LABELS = [torch.tensor([0, 2]), torch.tensor([[0.5, 0.5, 0], [0, 0.25, 0.75]])]


def trained(backbone, loss):
    """Return the first parts of the names of the parameters that a loss gives a gradient to."""
    backbone.zero_grad(set_to_none=True)
    loss.backward()
    return {key.rsplit(".", 1)[0] for key, parameter in backbone.named_parameters() if parameter.grad is not None}


def of(backbone, *prefixes):
    """Return the first parts of the names of all parameters below some modules."""
    return {key.rsplit(".", 1)[0] for key, _ in backbone.named_parameters() if key.startswith(prefixes)}


# Boxes


def test_boxes_lie_inside_the_image():
    boxes = to_boxes(torch.randn(200, 3) * 5, 0.25)
    size = boxes[:, 2:] - boxes[:, :2]
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    torch.testing.assert_close(size[:, 0], size[:, 1])
    assert 0.25 <= size.min() < 0.3
    assert 0.95 < size.max() <= 1
    # sigmoid(0) = 0.5: a box of (1 + 1/3) / 2 in the middle
    torch.testing.assert_close(to_boxes(torch.zeros(1, 3), 1 / 3)[0], torch.tensor([1, 1, 5, 5]) / 6)
    torch.testing.assert_close(
        square_around(torch.tensor([[0.5, 0.9], [0.1, 0.5]]), torch.tensor([[0.4], [0.5]])),
        torch.tensor([[0.3, 0.6, 0.7, 1.0], [0.0, 0.25, 0.5, 0.75]]),
    )


def test_a_part_is_cut_out_and_enlarged():
    images, box = torch.randn(1, 2, 16, 20), torch.tensor([[0.25, 0.5, 0.75, 1.0]], requires_grad=True)  # of 8x10 pixels
    torch.testing.assert_close(enlarge(images, box, 2), images[:, :, 4:12, 10:20])
    twice = F.interpolate(images[:, :, 4:12, 10:20], (16, 20), mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarge(images, box, 1)[..., 1:-1, 1:-1], twice[..., 1:-1, 1:-1])
    (enlarge(images, box, 2) * torch.arange(8.0)[:, None]).sum().backward()
    assert (box.grad != 0).all()


def test_a_box_within_a_box():
    outer, inner = torch.tensor([[0.5, 0.0, 1.0, 0.5]]), torch.tensor([[0.0, 0.5, 0.5, 1.0]])
    torch.testing.assert_close(within(outer, inner), torch.tensor([[0.5, 0.25, 0.75, 0.5]]))


def test_box_losses_by_hand():
    boxes, target = torch.tensor([[0.0, 0.2, 0.4, 0.6]]), torch.tensor([[0.1, 0.2, 0.7, 0.8]])
    # middles (0.2, 0.4) and (0.4, 0.5), sizes (0.4, 0.4) and (0.6, 0.6); below 1 the loss is half the square
    assert box_losses(boxes, target).item() == pytest.approx((0.2**2 + 0.1**2 + 0.2**2 + 0.2**2) / 2)


def test_what_is_frozen_passes_gradients_on():
    layers = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3)).train()
    x, before = torch.randn(4, 3, requires_grad=True), layers[1].running_mean.clone()
    with frozen(layers):
        y = layers(x)
    y.square().sum().backward()
    assert x.grad.any()
    assert all(parameter.grad is None and parameter.requires_grad for parameter in layers.parameters())
    assert torch.equal(layers[1].running_mean, before)
    assert all(module.training for module in layers.modules())


# Varifocal-Net


def test_varifocal_sees_the_image_and_its_part():
    varifocal, images = net("varifocal", **LIGHT), torch.randn(2, 1, 64, 64)
    whole = varifocal.global_net(images).mean((-2, -1))
    part = enlarge(images, to_boxes(varifocal.box(whole), 0.25), 1)
    assert part.shape == images.shape
    both = torch.cat([whole, varifocal.local_net(part).mean((-2, -1))], 1)
    torch.testing.assert_close(varifocal(images)[:, :, 0, 0], varifocal.fc(both))


def test_varifocal_learns_in_three_phases():
    labels = LABELS[0]
    varifocal, images, shapes = net("varifocal", **LIGHT), torch.randn(2, 1, 64, 64), shapes_of(2, unmeasured=(1,))
    whole, part = varifocal.look(images)
    said = {"image": varifocal.auxiliary["image"](whole), "part": varifocal.auxiliary["part"](part)}
    top, left, bottom, right = shapes.box[0].tolist()
    side = max(0.5 * max(bottom - top, right - left), 0.25)  # half the longer side, and no less than the least
    y, x = (top + bottom) / 2, (left + right) / 2
    rough = torch.tensor([[y - side / 2, x - side / 2, y + side / 2, x + side / 2]])
    box = box_losses(varifocal.boxes(whole)[:1], rough).sum()
    first = objective(varifocal, images, labels, 4.9, shapes)
    torch.testing.assert_close(first, cross_entropy(said["image"], labels) + box)
    second = objective(varifocal, images, labels, 5.0, shapes)
    torch.testing.assert_close(second, cross_entropy(said["image"], labels) + cross_entropy(said["part"], labels))
    third = objective(varifocal, images, labels, 20.0, shapes)
    torch.testing.assert_close(third, cross_entropy(varifocal(images)[:, :CLASSES, 0, 0], labels))
    assert trained(varifocal, first) == of(varifocal, "global_net", "box", "auxiliary.image")
    assert trained(varifocal, second) == of(varifocal, "global_net", "local_net", "box", "auxiliary")
    assert trained(varifocal, third) == of(varifocal, "fc")


def test_the_box_learns_from_the_part_alone_in_the_second_phase():
    varifocal = net("varifocal", **LIGHT)
    _, part = varifocal.look(torch.randn(2, 1, 64, 64))
    varifocal.auxiliary["part"](part).square().sum().backward()
    assert varifocal.box[0].weight.grad.any()


# RA-CNN


def test_racnn_sees_three_scales():
    racnn, images = net("racnn", width=4, **LIGHT), torch.randn(2, 1, 64, 64)
    maps, (first, second) = racnn.look(images)
    outer = enlarge(images, first, 2)
    torch.testing.assert_close(maps[1], racnn.trunks[1](outer))
    torch.testing.assert_close(second, racnn.choosers[1](maps[1]))
    corner, size = first[:, :2], first[:, 2:] - first[:, :2]
    inner = torch.cat([corner + second[:, :2] * size, corner + second[:, 2:] * size], 1)
    torch.testing.assert_close(maps[2], racnn.trunks[2](enlarge(images, inner, 2)))
    pooled = [one.mean((-2, -1)) for one in maps]
    expected = torch.cat([one / one.norm(dim=1, keepdim=True) for one in pooled], 1)
    torch.testing.assert_close(racnn(images)[:, :, 0, 0], expected)


def test_racnn_learns_in_turns():
    labels = LABELS[1]
    racnn, images = net("racnn", width=4, choice_epochs=2, **LIGHT), torch.randn(2, 1, 64, 64)
    maps, chosen = racnn.look(images)
    logits = [racnn.auxiliary[str(scale)](maps[scale].mean((-2, -1))) for scale in range(3)]
    together = cross_entropy(racnn(images)[:, :CLASSES, 0, 0], labels)
    classes = sum(cross_entropy(one, labels) for one in logits) + together
    taught = sum(box_losses(box, strongest(one)).mean() for box, one in zip(chosen, maps, strict=False))
    losses = {epoch: objective(racnn, images, labels, epoch) for epoch in (1.0, 2.0, 3.0, 4.5)}
    torch.testing.assert_close(losses[1.0], classes + taught)
    torch.testing.assert_close(losses[2.0], ranking_loss(logits, labels, 0.05))
    torch.testing.assert_close(losses[3.0], classes)
    torch.testing.assert_close(losses[4.5], losses[2.0])
    racnn.margin = 2.0  # so that the hinge is open
    assert trained(racnn, objective(racnn, images, labels, 2.0)) == of(racnn, "choosers")
    assert all(layer.weight.grad.any() for chooser in racnn.choosers for layer in chooser.layers[3::2])
    assert trained(racnn, losses[3.0]) == of(racnn, "trunks", "auxiliary")
    assert trained(racnn, losses[1.0]) == of(racnn, "trunks", "auxiliary", "choosers")


def test_ranking_of_scales_by_hand():
    logits = [torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.0, 0.0]])]
    # The probability of class 0 is 0.5, 0.75 and 0.5: the second gains enough, the third loses 0.25.
    assert ranking_loss(logits, torch.tensor([0]), 0.05).item() == pytest.approx(0.3)
    assert ranking_loss(logits, torch.tensor([[0.5, 0.5]]), 0.05).item() == pytest.approx(0.1)


def test_the_strongest_answer_is_the_middle_of_the_part():
    maps = torch.zeros(2, 3, 4, 6)
    maps[0, :, 1, 3], maps[1, :, 0, 5] = 1, 1
    expected = torch.tensor([[0.375 - 0.25, 3.5 / 6 - 0.25, 0.625, 3.5 / 6 + 0.25], [0.0, 0.5, 0.5, 1.0]])
    torch.testing.assert_close(strongest(maps), expected)


# Kernel pooling


def test_the_powers_are_those_of_the_gaussian_kernel():
    rng = np.random.default_rng(0)
    x, y = (one / np.linalg.norm(one) for one in rng.normal(size=(2, 5)))
    series = math.exp(-2 * 0.7) + sum(weight * (x @ y) ** (p + 1) for p, weight in enumerate(taylor(0.7, 12)))
    assert series == pytest.approx(math.exp(-0.7 * ((x - y) ** 2).sum()), rel=1e-6)


def small_kernel(order=3, sketch=8):
    return net("kernelpool", order=order, sketch=sketch, **LIGHT)


def test_a_sketch_is_every_product_of_channels():
    kernel = small_kernel()
    kernel.places, kernel.signs = kernel.places[:, :4], kernel.signs[:, :4]
    kernel.weights.data = torch.tensor([1.0, 2.0, 3.0])
    maps = torch.rand(2, 4, 1, 3)
    got = kernel.pool(maps)
    unit = F.normalize(maps, dim=1).flatten(2)
    for image in range(2):
        expected = np.zeros(4 + 2 * 8)
        for position in unit[image].T.tolist():
            expected[:4] += np.array(position) / 3
            for i in range(4):
                for j in range(4):
                    two = kernel.signs[0, i] * kernel.signs[1, j] * position[i] * position[j]
                    place = int(kernel.places[0, i] + kernel.places[1, j])
                    expected[4 + place % 8] += 2 * two / 3
                    for k in range(4):
                        three = two * kernel.signs[2, k] * position[k]
                        expected[12 + (place + int(kernel.places[2, k])) % 8] += 3 * three / 3
        np.testing.assert_allclose(got[image].detach().numpy(), expected, atol=1e-5)


def test_sketches_keep_the_products_of_images():
    kernel = net("kernelpool", order=4, sketch=4096, **LIGHT)
    x = torch.rand(2, 256, 1, 1, generator=torch.Generator().manual_seed(0))
    x[1, :128] = x[0, :128]
    parts = kernel.pool(x).detach().split([256, 4096, 4096, 4096], 1)
    product = float(F.normalize(x[0, :, 0, 0], dim=0) @ F.normalize(x[1, :, 0, 0], dim=0))
    for power, (part, weight) in enumerate(zip(parts, taylor(0.5, 4), strict=True), 1):
        assert float(part[0] @ part[1]) / weight == pytest.approx(product**power, abs=0.05 * power), power


def test_kernel_features_are_of_length_one_and_alike_wherever_built():
    kernel, images = small_kernel(), torch.randn(2, 1, 64, 64)
    got = kernel(images)[:, :, 0, 0]
    pooled = kernel.pool(kernel.trunk(images))
    root = pooled.sign() * (pooled.abs() + 1e-5).sqrt()
    torch.testing.assert_close(got, root / root.norm(dim=1, keepdim=True))
    assert torch.equal(small_kernel().places, kernel.places)
    assert not any("places" in key or "signs" in key for key in kernel.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        assert kernel.pool(kernel.trunk(images)).dtype == torch.float32


# Mask-CNN


def test_what_lies_inside_a_mask_is_pooled():
    maps, mask = torch.rand(2, 3, 2, 2), torch.tensor([[[1.0, 0.5], [0, 0]], [[0, 0], [0, 0]]])
    got = pool_inside(maps, mask)
    first, second = maps[0, :, 0, 0], 0.5 * maps[0, :, 0, 1]
    expected = torch.cat([(first + second) / 1.5, torch.maximum(first, second)])
    torch.testing.assert_close(got[0], expected / expected.norm())
    assert not got[1].any()  # nothing was found


def test_maskcnn_has_four_streams():
    mask, images = net("maskcnn", **LIGHT), torch.randn(2, 1, 64, 64)
    maps = mask.trunk(images)
    assert maps.shape[2:] == (4, 4)  # 1/16
    _, short, long = mask.part_map(images).unbind(1)
    parts = [pool_inside(maps, each) for each in (torch.ones_like(short), short, long, short + long)]
    torch.testing.assert_close(mask(images)[:, :, 0, 0], torch.cat(parts, 1))
    mask(images).sum().backward()
    assert all(parameter.grad is None for parameter in mask.parts.parameters())  # only the axis trains the parts


def test_parts_are_learnt_where_they_were_measured():
    said, shapes = torch.randn(2, 3, 4, 4), shapes_of(2, unmeasured=(0,))
    log = said.log_softmax(1)
    total = 0.0
    for row in range(4):
        for column in range(4):
            arms = shapes.arms[1, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].mean((1, 2))
            truth = [1 - arms.sum(), *arms]
            total -= sum(share * log[1, part, row, column] for part, share in enumerate(truth)) / 16
    torch.testing.assert_close(part_loss(said, shapes), total)


@pytest.mark.parametrize("labels", LABELS)
def test_maskcnn_adds_two_losses(labels):
    mask, images, shapes = net("maskcnn", **LIGHT), torch.randn(2, 1, 64, 64), shapes_of(2)
    expected = cross_entropy(first_logits(mask(images)), labels) + part_loss(mask.parts(mask.trunk(images)), shapes)
    torch.testing.assert_close(objective(mask, images, labels, 0.0, shapes), expected)


# High-resolution net


def test_heat_maps_by_hand():
    maps = heat_maps(torch.tensor([[[0.5, 0.25], [0.0, 1.0]]]), (4, 8), 2.0)
    assert maps.shape == (1, 2, 4, 8)
    for row in range(4):
        for column in range(8):
            square = (row + 0.5 - 2) ** 2 + (column + 0.5 - 2) ** 2
            assert maps[0, 0, row, column].item() == pytest.approx(math.exp(-square / 8), rel=1e-5)
    assert maps[0, 1].argmax() == 7  # the corner


@pytest.mark.parametrize("labels", LABELS)
def test_hrnet_adds_the_joints(labels):
    hrnet, images, shapes = net("hrnet", (64, 60), **LIGHT), torch.randn(2, 1, 64, 60), shapes_of(2, unmeasured=(0,))
    images = padded(images)
    assert images.shape[2:] == (64, 64)
    assert torch.equal(images[..., 60:], images[..., 59:60].expand(2, 1, 64, 4))
    maps, (sharp,) = hrnet.trunk.forward_intermediates(images, [1])
    assert sharp.shape[2:] == (16, 16)
    off = (hrnet.auxiliary(sharp) - heat_maps(shapes.joints, (16, 16), 2.0)).square().mean((1, 2, 3))
    expected = cross_entropy(first_logits(maps), labels) + 10 * off[1]
    torch.testing.assert_close(objective(hrnet, images, labels, 0.0, shapes), expected)


@pytest.mark.slow
def test_the_high_resolution_net_is_timms():
    hrnet, images = net("hrnet", trunk="timm/hrnet_w18_small"), torch.randn(1, 1, 64, 64)
    torch.testing.assert_close(hrnet(images), hrnet.trunk.net.forward_features(images))
    _, (sharp,) = hrnet.trunk.forward_intermediates(images, [1])
    assert sharp.shape[1:] == (hrnet.auxiliary.in_channels, 16, 16)
