"""Shapes for training objectives: measured on what the network sees; an image without a shape is a row with the reason."""

import warnings
from concurrent.futures.process import BrokenProcessPool

import joblib
import numpy as np
import pytest
import torch
from helpers.models import LIGHT
from helpers.synthetic import tiny_set
from PIL import Image

from gricol_zoo import GridLoss, TrainingTask, create_model
from gricol_zoo.classical.parts import measure_parts
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import split_for
from gricol_zoo.data.synthetic import Look, load_profiles, render
from gricol_zoo.errors import ShapeWarning
from gricol_zoo.training.recipes import Recipe
from gricol_zoo.training.shapes import LONGEST, measure_shapes
from gricol_zoo.training.train import train


def batch():
    """Return a chromosome, an empty image and noise, (3, 1, 64, 48)."""
    rng, images = np.random.default_rng(0), torch.zeros(3, 1, 64, 48)
    grey = torch.from_numpy(render(load_profiles()["1"], Look(noise=0.02), rng).astype(np.float32))
    images[0, 0] = torch.nn.functional.interpolate(grey[None, None], (64, 48), mode="bilinear")[0, 0]
    images[2] = torch.from_numpy(rng.normal(size=(1, 64, 48)))
    return images


def test_each_image_has_its_row():
    images = batch()
    with pytest.warns(ShapeWarning, match="some training images cannot be measured"):
        shapes = measure_shapes(images)
    assert shapes.measured.tolist() == [True, False, False]
    assert shapes.errors[0] == ""
    assert shapes.errors[1].startswith("blank")
    assert shapes.errors[2].startswith("no chromosome")
    assert not any(each[1:].any() for each in (shapes.box, shapes.joints, shapes.arms))
    low, high = images[0].min(), images[0].max()
    parts = measure_parts(((images[0, 0] - low) / (high - low)).numpy())
    np.testing.assert_allclose(shapes.box[0].numpy() * (64, 48, 64, 48), parts.box, atol=1e-4)
    np.testing.assert_allclose(shapes.joints[0].numpy()[:, ::-1] * (48, 64) - 0.5, parts.joints, atol=1e-4)
    assert np.array_equal(shapes.arms[0, 1].numpy(), parts.arms == 2)
    losses = torch.tensor([3.0, 100.0, 1e6])
    assert shapes.mean(losses) == 3
    with pytest.warns(ShapeWarning):
        assert measure_shapes(images[1:2]).mean(losses[:1]) == 0


@pytest.mark.filterwarnings("ignore::gricol_zoo.errors.ShapeWarning")
@pytest.mark.parametrize("trouble", [None, ImportError, BrokenProcessPool])
def test_several_processes_measure_as_one_does(trouble, monkeypatch):
    """Also where joblib is absent, or its processes have been stopped."""
    images, threads = batch(), torch.get_num_threads()
    alone = measure_shapes(images)
    used = []

    def parallel(*arguments, **options):
        used.append(arguments)
        if trouble:
            raise trouble
        return right(*arguments, **options)

    right = joblib.Parallel
    monkeypatch.setattr(joblib, "Parallel", parallel)
    torch.set_num_threads(2)
    try:
        together = measure_shapes(images)
    finally:
        torch.set_num_threads(threads)
    assert used == [(2,)]
    assert together.errors == alone.errors
    for one, other in zip(together[1:], alone[1:], strict=True):
        assert torch.equal(one, other)


def test_grey_scale_channels_and_size_do_not_matter():
    images = batch()[:1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = measure_shapes(images)
        other = measure_shapes((images * 40 - 3).expand(1, 3, 64, 48))
        large = measure_shapes(torch.nn.functional.interpolate(images, (256, 192), mode="bilinear", align_corners=False))
    assert torch.equal(plain.arms, other.arms)
    assert large.arms.shape[2:] == (LONGEST, LONGEST * 3 // 4)
    torch.testing.assert_close(large.box, plain.box, atol=0.03, rtol=0)
    torch.testing.assert_close(large.joints[:, [0, 4]], plain.joints[:, [0, 4]], atol=0.05, rtol=0)


@pytest.mark.filterwarnings("ignore::gricol_zoo.errors.ShapeWarning")
@pytest.mark.parametrize("name", ["maskcnn_r50", "hrnet_w18_joints", "varifocal_r50"])
def test_images_without_a_shape_teach_the_classes_alone(name):
    model = create_model(name, image_size=(64, 64), num_classes=3, backbone_options=LIGHT).eval()
    images, labels = torch.zeros(2, 1, 64, 64), torch.tensor([1, 2])
    loss = TrainingTask(model, GridLoss())(images, labels, 0.0)
    if name == "varifocal_r50":  # its first phase trains the image's own classifier
        pooled = model.backbone.global_net(images).mean((-2, -1))
        logits = model.backbone.auxiliary["image"](pooled)
    else:
        logits = model(images)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, labels))


def test_a_training_goes_on_without_them(tmp_path):
    folder = tiny_set(tmp_path / "set", cells=6)
    rng = np.random.default_rng(0)
    for cell in range(6):  # wherever the split puts them
        Image.fromarray(rng.integers(0, 255, (60, 40)).astype(np.uint8)).save(folder / f"images/c{cell:02d}/5_a.png")
    images, split, _ = split_for(open_images(folder), 0)
    changes = {"image_size": (64, 48), "backbone": "maskcnn", "backbone_options": LIGHT}
    recipe = Recipe(epochs=1, batch_size=6, precision="fp32")
    with pytest.warns(ShapeWarning):
        finished = train(images, split, "r18half_128", recipe, tmp_path / "run", changes=changes, device="cpu")
    assert finished
    assert create_model(f"local-dir:{tmp_path / 'run'}", pretrained=True).spec.backbone == "maskcnn"
