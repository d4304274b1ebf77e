"""Saliency against Captum, the grid's evidence against plain loops, and the figure of both as a user gets it."""

import copy
import sys
import warnings

import numpy as np
import pytest
import torch
from helpers.commands import run
from helpers.models import SMALL
from PIL import Image
from torch import nn

import gricol_zoo
from gricol_zoo import GricolZooError, ModelSpec
from gricol_zoo.data.arrays import as_batch
from gricol_zoo.data.synthetic import render_cell
from gricol_zoo.explain import grad_cam, grid_evidence, guided_backprop
from gricol_zoo.explain.figures import check_figure_file, explain_figure, save_figure
from gricol_zoo.explain.panel import explain_image
from gricol_zoo.factory import GridModel
from gricol_zoo.models.lower import LowerBranch
from gricol_zoo.models.splitters import SPLITTERS

LIGHT = ("gricol_r18half_n3_128", "gril_r18half_128", "r18half_128")


class Reused(nn.Module):
    """One in-place ReLU that is called three times, the last time on its own output and before an in-place sum."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 6, 5, 4, 2), nn.Conv2d(6, 6, 3, 1, 1)
        self.act = nn.ReLU(inplace=True)
        self.num_features = 6

    def forward(self, x):
        x = self.act(self.first(x))
        y = self.act(self.second(x) - 0.1)
        y = y * 2
        y += x
        return self.act(y - 0.2)


def reused():
    spec = ModelSpec("r18half", image_size=(32, 24))
    return LowerBranch(spec, nn.Identity(), Reused()).eval()


@pytest.fixture(scope="module")
def packaged():
    return gricol_zoo.create_model("gricol_r18half_n3_128.qband", pretrained=True).eval()


@pytest.fixture(scope="module")
def chromosome():
    return render_cell(0)[4][2]


def subjects():
    """Untrained networks of each kind, at sizes that are quick."""
    small = {"image_size": (64, 48), "cell_size": 32}
    yield "untrained", gricol_zoo.create_model("gricol_r18half_n3_128")
    yield "bottleneck", gricol_zoo.create_model("gricol_r50half_n3", **SMALL)
    yield "deployed", gricol_zoo.create_model("gricol_r50half_n3", deployed=True, **SMALL)
    yield "three channels", gricol_zoo.create_model("r18half_128", in_chans=3, num_classes=5, **small)
    yield "timm", gricol_zoo.create_model("r18half_128", backbone="timm/resnet10t", **small)
    yield "timm, norms that carry the ReLU", gricol_zoo.create_model("r18half_128", backbone="timm/regnetx_002", **small)
    yield "reused", reused()
    highest = gricol_zoo.create_model("r18half_128", deployed=True, **small)
    highest.global_pool = "max"  # its gradient differs from place to place
    yield "max pooling", highest


@pytest.fixture(params=["packaged", *(name for name, _ in subjects())], scope="module")
def subject(request, packaged):
    torch.manual_seed(1)
    model = packaged if request.param == "packaged" else dict(subjects())[request.param]
    images = torch.randn(3, model.in_chans, *model.spec.image_size)
    return model.eval(), images


def captum_guided(model, images, classes):
    from captum.attr import GuidedBackprop

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return GuidedBackprop(model).attribute(images.clone(), target=classes).sum(1).detach().numpy()


def captum_cam(model, images, classes):
    from captum.attr import LayerAttribution, LayerGradCam

    cam = LayerGradCam(model, model.backbone).attribute(images.clone(), target=classes, relu_attributions=True)
    cam = LayerAttribution.interpolate(cam, images.shape[-2:], "bilinear")[:, 0].detach()
    return (cam / cam.amax((1, 2), keepdim=True).clamp_min(1e-30)).numpy()


def test_guided_backprop_is_captums(subject):
    model, images = subject
    predicted = model(images).argmax(1).tolist()
    for classes, asked in ((predicted, None), ([1, 0, 4], [1, 0, 4])):
        expected = captum_guided(model, images, classes)
        assert abs(expected).max() > 0
        np.testing.assert_allclose(guided_backprop(model, images, asked), expected, rtol=1e-5, atol=1e-7 * abs(expected).max())


def test_it_is_not_the_plain_gradient(subject):
    model, images = subject
    pixels = images.clone().requires_grad_()
    model(pixels).amax(1).sum().backward()
    model.zero_grad()
    assert not np.allclose(guided_backprop(model, images), pixels.grad.sum(1).numpy(), rtol=0.1)


def test_grad_cam_is_captums(subject):
    model, images = subject
    for classes in (model(images).argmax(1).tolist(), [1, 0, 4]):
        cam = grad_cam(model, images, classes)
        np.testing.assert_allclose(cam, captum_cam(model, images, classes), atol=1e-5)
        assert cam.min() >= 0
        assert set(cam.max((1, 2))) <= {0.0, 1.0}
    np.testing.assert_array_equal(grad_cam(model, images), grad_cam(model, images, model(images).argmax(1).tolist()))


def test_guided_backprop_by_hand():
    """y = sum of relu(w relu(x)): a gradient passes only where x, w relu(x) and the incoming gradient are all positive."""
    backbone = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 1, 1, bias=False), nn.ReLU())
    backbone.num_features = 1
    model = LowerBranch(ModelSpec("r18half", image_size=(1, 3), num_classes=2), nn.Identity(), backbone)
    nn.init.constant_(backbone[1].weight, 3.0)
    model.classifier.weight.data = torch.tensor([[6.0], [-6.0]])
    images = torch.tensor([[[[1.0, -1.0, 2.0]]]])
    np.testing.assert_allclose(guided_backprop(model, images, [0]), [[[6.0, 0.0, 6.0]]])
    np.testing.assert_allclose(guided_backprop(model, images, [1]), [[[0.0, 0.0, 0.0]]])
    nn.init.constant_(backbone[1].weight, -3.0)
    np.testing.assert_allclose(guided_backprop(model, images, [1]), [[[0.0, 0.0, 0.0]]])


def everything(model):
    """What must not change: tensors, gradients, modes, flags and hooks."""
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = [(p.requires_grad, p.grad is None) for p in model.parameters()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()]
    return tensors, [m.training for m in model.modules()], flags, hooks, [getattr(m, "inplace", 0) for m in model.modules()]


METHODS = (guided_backprop, grad_cam, grid_evidence)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(method, fails):
    model = gricol_zoo.create_model("gricol_r18half_n3_128").train()
    model.backbone.layer2.eval()
    model.classifier.requires_grad_(False)
    images = torch.randn(2, 1, *model.spec.image_size)
    before = copy.deepcopy(everything(model))
    if fails:
        handle = model.classifier.register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            method(model, images)
        handle.remove()
    else:
        method(model, images)
    after = everything(model)
    for name, tensor in before[0].items():
        assert torch.equal(tensor, after[0][name]), name
    assert before[1:] == after[1:]
    assert images.grad is None
    assert not images.requires_grad


def test_under_no_grad_and_inference_mode_and_with_checkpointing(packaged):
    images = torch.randn(2, 1, *packaged.spec.image_size)
    expected = guided_backprop(packaged, images)
    with torch.no_grad():
        np.testing.assert_array_equal(guided_backprop(packaged, images), expected)
    with torch.inference_mode():
        np.testing.assert_array_equal(guided_backprop(packaged, images.clone()), expected)
    packaged.set_grad_checkpointing()
    try:
        np.testing.assert_allclose(guided_backprop(packaged, images), expected, atol=1e-6)
    finally:
        packaged.set_grad_checkpointing(False)


def test_what_cannot_be_explained_says_so(packaged):
    images = torch.randn(2, 1, *packaged.spec.image_size)
    for method in METHODS:
        with pytest.raises(GricolZooError, match="optimized for inference"):
            method(gricol_zoo.optimize(packaged, "fp32"), images)
        with pytest.raises(GricolZooError, match="Expected images of shape"):
            method(packaged, images[..., :-1])
    for method in METHODS[:2]:
        with pytest.raises(GricolZooError, match=r"Expected 2 `classes`, one per image, in 0..23"):
            method(packaged, images, [0])
        with pytest.raises(GricolZooError, match=r"in 0..23, but got \[0, 24\]"):
            method(packaged, images, [0, 24])
        with pytest.raises(GricolZooError, match="has no classifier"):
            method(gricol_zoo.create_model("r18half_128", num_classes=0, deployed=True), images)
    with pytest.raises(GricolZooError, match="but got the deployed one"):
        grid_evidence(packaged.deploy(), images)
    with pytest.raises(GricolZooError, match="'r18half_128' has no grid"):
        grid_evidence(gricol_zoo.create_model("r18half_128"), images)


def test_backbones_without_relu_or_without_a_map():
    smooth = gricol_zoo.create_model("r18half_128", backbone="timm/convnext_atto", image_size=64)
    images = torch.randn(1, 1, 64, 64)
    with pytest.raises(GricolZooError, match="needs ReLU modules, and the backbone 'timm/convnext_atto' has none"):
        guided_backprop(smooth, images)
    assert grad_cam(smooth, images).shape == (1, 64, 64)
    tokens = gricol_zoo.create_model("r18half_128", backbone="timm/vit_tiny_patch16_224", image_size=64)
    with pytest.raises(GricolZooError, match=r"needs a spatial map, but .* gives 16 tokens"):
        grad_cam(tokens, images)


@pytest.mark.parametrize("name", ["gricol_r18half_n3_128", "gril_r18half_128"])
@pytest.mark.parametrize("splitter", ["overlap", "tiles"])
@pytest.mark.parametrize(("gate", "chain"), [("scalar", "literal"), ("channel", "recursive")])
def test_grid_evidence_against_loops(name, splitter, gate, chain):
    options = {"gate": gate, "chain": chain} if name.startswith("gricol") else {}
    model = gricol_zoo.create_model(name, splitter=splitter, head_options=options).eval()
    for parameter in model.head.parameters():
        nn.init.normal_(parameter, std=0.3)
    model.info = model.info.replace(temperature=2.0)
    images = torch.randn(2, 1, *model.spec.image_size)
    found = grid_evidence(model, images)
    with torch.no_grad():
        cells = model.splitter(images)
        features = torch.stack([model.cell_backbone(cells[:, k]).mean((2, 3)) for k in range(9)], 1)
        output = model.branches(images)
    np.testing.assert_allclose(found.cell_probabilities, output.cell_logits.softmax(-1), atol=1e-5)
    np.testing.assert_allclose(found.lower_probabilities, (model(images) / 2).detach().softmax(-1), atol=1e-6)
    for k, (top, left, height, width) in enumerate(found.boxes):
        crop = images[..., top : top + height, left : left + width]
        crop = nn.functional.interpolate(crop, model.spec.cell_size, mode="bilinear", align_corners=False)
        torch.testing.assert_close(crop, cells[:, k])
    if not options:
        assert found.gates is None
        assert found.merged_probabilities is None
        return
    np.testing.assert_allclose(found.merged_probabilities, output.merged_logits.softmax(-1), atol=1e-5)
    np.testing.assert_allclose(found.gates, model.head.gate_values(features).detach(), atol=1e-5)
    assert 0 < found.gates.min() < found.gates.max() < 1


def test_a_splitter_that_does_not_say_where_its_cells_lie(monkeypatch, chromosome):
    class Bands(nn.Module):
        def __init__(self, grid):
            super().__init__()
            self.num_cells = grid

        def forward(self, images):
            h = images.shape[-2] // self.num_cells
            return images.unfold(-2, h, h).movedim(2, 1).transpose(-1, -2)

    monkeypatch.setitem(SPLITTERS._items, "bands", Bands)
    model = gricol_zoo.create_model("gricol_r18half_n3_128", splitter="bands", grid=4)
    with pytest.raises(GricolZooError, match=r"The splitter 'bands' does not give .* `boxes\(\)`"):
        grid_evidence(model, torch.randn(1, 1, *model.spec.image_size))
    assert "does not give the positions of its cells" in explain_image(model, chromosome).evidence


def test_an_image_explained(packaged, chromosome):
    row = explain_image(packaged, chromosome, "ours")
    assert row.labels[row.prediction] == "3"
    assert row.target == row.prediction
    images = as_batch([row.canvas], packaged.spec)
    np.testing.assert_array_equal(row.guided, guided_backprop(packaged, images)[0])
    np.testing.assert_array_equal(row.cam, grad_cam(packaged, images)[0])
    np.testing.assert_allclose(row.probabilities, row.evidence.lower_probabilities[0], atol=1e-6)
    other = explain_image(packaged, chromosome, target="Y")
    assert (other.labels[other.target], other.labels[other.prediction]) == ("Y", "3")
    assert not np.array_equal(other.guided, row.guided)
    rough = explain_image(packaged, chromosome, dtype="bf16")
    np.testing.assert_allclose(rough.probabilities, row.probabilities, atol=0.05)
    assert not np.array_equal(rough.guided, row.guided)


def texts(figure):
    parts = [figure, *figure.subfigs]
    found = [text.get_text() for part in parts for axis in part.axes for text in [*axis.texts, axis.title]]
    return found + [part.get_suptitle() for part in parts]


def test_the_figure_says_what_was_found(packaged, chromosome, tmp_path):
    control = gricol_zoo.create_model("r18half_128", backbone="timm/convnext_atto")
    rows = [explain_image(packaged, chromosome, "grid", target="7"), explain_image(control, chromosome, "control")]
    figure = explain_figure(rows, "a title")
    said = texts(figure)
    evidence, seven = rows[0].evidence, rows[0].labels.index("7")
    for k in range(9):
        best = evidence.cell_probabilities[0, k].argmax()
        lines = [f"gate {evidence.gates[0, k]:.2f}", f"{rows[0].labels[best]}: {evidence.cell_probabilities[0, k, best]:.2f}"]
        assert "\n".join([*lines, f"7: {evidence.cell_probabilities[0, k, seven]:.2f}"]) in said
        assert str(k + 1) in said
    assert f"grid: 3, probability {rows[0].probabilities.max():.2f}; explained: 7, probability 0.00" in said
    assert "a title" in said
    assert any("has no\ngrid" in text for text in said)
    assert any("needs\nReLU modules" in text for text in said)
    save_figure(figure, tmp_path / "deep" / "a.png", dpi=40)
    assert Image.open(tmp_path / "deep" / "a.png").size[0] > 300
    with pytest.raises(GricolZooError, match="Expected at least one explanation"):
        explain_figure([])


@pytest.mark.parametrize("suffix", [".png", ".SVG", ".pdf"])
def test_formats(suffix, packaged, chromosome, tmp_path):
    save_figure(explain_figure([explain_image(packaged, chromosome)]), tmp_path / f"a{suffix}", dpi=30)
    starts = {".png": b"\x89PNG", ".SVG": b"<?xml", ".pdf": b"%PDF"}
    assert (tmp_path / f"a{suffix}").read_bytes().startswith(starts[suffix])
    with pytest.raises(GricolZooError, match=r"ends in .png, .svg, .pdf"):
        check_figure_file(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", LIGHT)
def test_every_light_model_makes_a_row(name, chromosome):
    model = gricol_zoo.create_model(name)
    assert isinstance(model, GridModel)
    row = explain_image(model, chromosome)
    assert row.guided.shape == row.cam.shape == row.canvas.shape == model.spec.image_size
    assert isinstance(row.evidence, str) == (model.splitter.num_cells == 0)


@pytest.fixture
def files(tmp_path, chromosome):
    Image.fromarray((chromosome * 255).astype(np.uint8)).save(tmp_path / "3.png")
    Image.new("L", (20, 40)).save(tmp_path / "blank.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "file").write_text("")
    five = gricol_zoo.create_model("r18half_128", num_classes=5)
    five.save_pretrained(tmp_path / "five")
    return tmp_path


def test_the_command(files, capsys):
    assert run("explain", files / "3.png", "--out", files / "new" / "a.svg") == 0
    assert capsys.readouterr().out.startswith(f"{gricol_zoo.DEFAULT_MODEL}: 3, probability 0.9")
    models = ["--model", gricol_zoo.DEFAULT_MODEL, files / "five"]
    assert run("explain", files / "3.png", *models, "--out", files / "b.png", "--target", "4") == 0
    assert capsys.readouterr().out.count("probability") == 2
    assert Image.open(files / "b.png").size[0] > 900


MISTAKES = [
    ("{f}/none.png --out {f}/a.png", "none.png: No such file"),
    ("{f} --out {f}.png", "Is a directory"),
    ("{f}/blank.png --out {f}/a.png", "blank.png: blank: every pixel"),
    ("{f}/text.png --out {f}/a.png", "text.png: not a readable image"),
    ("{f}/3.png --out {f}/a.jpg", "ends in .png, .svg, .pdf"),
    ("{f}/3.png --out {f}/a", "ends in .png, .svg, .pdf"),
    ("{f}/3.png --out {f}/file/a.png", "file"),
    ("{f}/3.png --out {f}/a.png --target 25", "Expected a class of"),
    ("{f}/3.png --out {f}/a.png --model {f}/five --target X", "0, 1, 2, 3, 4, but got 'X'"),
    ("{f}/3.png --out {f}/a.png --model nothing", "Unknown model 'nothing'"),
    ("{f}/3.png --out {f}/a.png --model gricol_r50half_n2", "No pretrained weights exist"),
    ("{f}/3.png --out {f}/a.png --model {f}/five {f}/five", "2 times"),
    ("{f}/3.png", "required: --out"),
    ("--out {f}/a.png", "required: IMAGE"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_line_and_exit_2(line, message, files, capsys):
    assert run("explain", *line.format(f=files).split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_missing_extra_is_named(files, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run("explain", files / "3.png", "--out", files / "a.png") == 2
    assert "pip install 'gricol_zoo[viz]'" in capsys.readouterr().err
