"""Polarity: the lower branch predicts which end is up in addition to the class, in every form, file and training."""

import csv
import dataclasses
import json
import math

import numpy as np
import onnx
import pytest
import torch
from helpers.models import SMALL
from helpers.processes import FROZEN, arguments, finish, launched, same, training
from helpers.synthetic import tiny_set
from PIL import Image
from torch.distributed.elastic.utils.distributed import get_free_port

from gricol_zoo import GricolZooError, GridLoss, GridOutput, ModelSpec, TrainingTask, create_model, grid_loss, optimize
from gricol_zoo.cli import main
from gricol_zoo.data.arrays import arms_up, as_batch
from gricol_zoo.data.augment import Augment
from gricol_zoo.data.draws import Draws
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import split_for
from gricol_zoo.data.table import Record
from gricol_zoo.evaluation.report import polarity_accuracy
from gricol_zoo.explain.embed import classify_features, pooled_features
from gricol_zoo.export import export_model, open_exported
from gricol_zoo.export import write as exporting
from gricol_zoo.export.check import Agreement, canvases_of, check_agreement, read_crops, synthetic_crops
from gricol_zoo.inference.logits import make_classifying, predict_both, predict_logits
from gricol_zoo.models.flops import count
from gricol_zoo.models.lower import short_arm_up, sum_polarities
from gricol_zoo.testing import check_model
from gricol_zoo.training.checks import check_polarity
from gricol_zoo.training.recipes import LIGHT
from gricol_zoo.training.train import train, turn_some

NAME, WEIGHTS = "gricol_r18half_n3_128", "gricol_r18half_n3_128.qband"
QUICK = dataclasses.replace(LIGHT, epochs=1, batch_size=8, precision="fp32", augment=Augment(tilt=5.0))


def apart(model):
    """Give the joint classifier weights with which classes and polarities differ between images."""
    with torch.no_grad():
        torch.nn.init.normal_(model.classifier.weight, std=1.0)
        torch.nn.init.normal_(model.classifier.bias)
    return model.eval()


@pytest.fixture
def model():
    return apart(create_model(NAME, polarity=True, **SMALL))


@pytest.fixture
def images():
    return torch.randn(3, 1, *SMALL["image_size"])


def by_hand(model, images):
    """Return logits and polarity by a loop over the classifier's rows, in float64."""
    with torch.no_grad():
        features = model.forward_features(images).double().mean((-2, -1)).numpy()
    weight, bias = (tensor.detach().double().numpy() for tensor in (model.classifier.weight, model.classifier.bias))
    logits, up = [], []
    for feature in features:
        outputs = [float(row @ feature) + float(offset) for row, offset in zip(weight, bias, strict=True)]
        odds = [math.exp(output - max(outputs)) for output in outputs]
        pairs = list(zip(odds[::2], odds[1::2], strict=True))
        logits.append([math.log(first + second) + max(outputs) for first, second in pairs])
        up.append(sum(first for first, _ in pairs) / sum(odds))
    return np.array(logits), np.array(up)


def test_a_spec_says_it_and_old_ones_do_not():
    assert not ModelSpec("r18half").polarity
    spec = ModelSpec("r18half", polarity=True)
    assert ModelSpec(**json.loads(json.dumps(spec.to_dict()))) == spec
    before = spec.to_dict()
    del before["polarity"]
    assert not ModelSpec(**before).polarity
    for wrong in (1, "yes", None):
        with pytest.raises(GricolZooError, match="`polarity` to be true or false"):
            ModelSpec("r18half", polarity=wrong)


def test_logits_sum_both_polarities_and_the_probability_is_of_all_classes(model, images):
    assert model.classifier.out_features == 48
    logits, up = by_hand(model, images)
    with torch.no_grad():
        found, told = model.both(images)
        joint = model.branches(images).joint_logits
        assert torch.equal(found, model(images))
    assert joint.shape == (3, 24, 2)
    assert (found.dtype, told.dtype, told.shape) == (torch.float32, torch.float32, (3,))
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(told, up, rtol=1e-4, atol=1e-5)
    assert np.ptp(up) > 1e-3  # or the check could not fail
    np.testing.assert_allclose(joint.exp().sum(-1).log(), found, rtol=1e-4, atol=1e-4)


def test_half_precision_is_summed_in_float32_and_double_in_double():
    outputs = torch.randn(200, 48, generator=torch.Generator().manual_seed(0)) * 4
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        given = outputs.to(dtype)
        expected = given.double().unflatten(1, (24, 2)).exp().sum(-1).log().to(dtype)  # rounded once, at the end
        found = sum_polarities(given)
        assert found.dtype == dtype
        agree = (found == expected).double().mean() if dtype.itemsize == 2 else torch.isclose(found, expected).double().mean()
        assert agree > 0.99
    assert short_arm_up(torch.tensor([[[900.0, -900.0], [0.0, 0.0]]])).item() == 1  # no overflow


def test_the_upper_branch_and_the_full_answer_know_classes_alone(model, images):
    with torch.no_grad():
        output, full = model.branches(images), model.full(images)
    assert output.cell_logits.shape == (3, 9, 24)
    assert output.merged_logits.shape == (3, 24)
    everything = [output.logits, output.merged_logits, *output.cell_logits.unbind(1)]
    expected = torch.stack([one.softmax(1) for one in everything]).mean(0).log()
    torch.testing.assert_close(full, expected, rtol=1e-4, atol=1e-4)


def test_the_deployed_form_is_bit_equal(model, images):
    deployed = model.deploy()
    with torch.no_grad():
        for one, other in zip(deployed.both(images), model.both(images), strict=True):
            assert torch.equal(one, other)
        assert torch.equal(deployed.forward_head(deployed.forward_features(images)), model(images))


@pytest.mark.parametrize("deployed", [False, True])
def test_an_optimized_copy_answers_alike(model, images, deployed):
    fast = optimize(model.deploy() if deployed else model, "fp32")
    with torch.no_grad():
        logits, up = fast.both(images)
        assert torch.equal(logits, fast(images))
        np.testing.assert_allclose(logits, model(images), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(up, model.both(images)[1], atol=1e-3)
        brief, told = optimize(model, "bf16").both(images)
    assert brief.dtype == told.dtype == torch.float32


def test_the_deployed_form_can_be_traced_scripted_compiled_and_seen_through(model, images):
    deployed = model.deploy()
    with torch.no_grad():
        expected = deployed(images)
        for changed in (
            torch.fx.symbolic_trace(deployed),
            torch.jit.script(torch.fx.symbolic_trace(deployed)),
            torch.jit.script(deployed),
            torch.jit.trace(deployed, images),
            torch.compile(deployed, backend="eager", fullgraph=True),
        ):
            torch.testing.assert_close(changed(images), expected)


def test_a_model_without_says_what_to_do(images):
    plain = create_model(NAME, **SMALL).eval()
    for form in (plain, plain.deploy()):
        with pytest.raises(GricolZooError, match="create and train it with `polarity=True`"):
            form.both(images)
    assert plain.branches(images).joint_logits is None
    with pytest.raises(GricolZooError, match="no classifier"):
        create_model(NAME, polarity=True, num_classes=0, deployed=True, **SMALL).both(images)
    with pytest.raises(GricolZooError, match="Expected images of shape"):
        create_model(NAME, polarity=True, **SMALL).both(torch.randn(1, 1, 50, 50))


@pytest.mark.parametrize("deployed", [False, True])
def test_a_new_classifier_drops_it(model, images, deployed):
    form = model.deploy() if deployed else model
    form.reset_classifier(24)
    assert not form.spec.polarity
    assert form.classifier.out_features == 24
    with torch.no_grad():
        assert form(images).shape == (3, 24)
    with pytest.raises(GricolZooError, match="polarity=True"):
        form.both(images)


def test_other_weights_at_random_keep_it(model, images):
    deployed = model.deploy()
    before = deployed.classifier.weight.clone()
    deployed.init_weights()
    assert not torch.equal(deployed.classifier.weight, before)
    assert deployed.eval().both(images)[1].shape == (3,)


def test_the_whole_contract():
    check_model("r18half_128", polarity=True, image_size=(64, 64))
    check_model(NAME, polarity=True, **SMALL)


def test_parameters_are_counted():
    one, other = (count(create_model(NAME, polarity=polarity, **SMALL)) for polarity in (False, True))
    more = 24 * (256 + 1)
    assert (other.params - one.params) * 1e6 == pytest.approx(more)
    assert (other.params_deployed - one.params_deployed) * 1e6 == pytest.approx(more)
    assert other.lower - one.lower == pytest.approx(24 * 256 / 1e9)


def test_the_loss_against_a_loop():
    joint, labels = torch.randn(4, 5, 2).double(), torch.tensor([0, 4, 2, 2])
    up, smooth = torch.tensor([True, False, True, False]), 0.1
    cells, merged = torch.randn(4, 3, 5).double(), torch.randn(4, 5).double()
    output = GridOutput(joint.logsumexp(-1), cells, merged, joint)
    expected = 0.0
    for i in range(4):
        total = sum(math.exp(value) for value in joint[i].flatten().tolist())
        for index in range(5):
            for end in range(2):
                true = index == int(labels[i]) and end == (0 if up[i] else 1)
                share = smooth / 10 + (1 - smooth) * true
                expected -= share * math.log(math.exp(joint[i, index, end].item()) / total) / 4
    rest = grid_loss(output, labels, 3, label_smoothing=smooth) - torch.nn.functional.cross_entropy(
        output.logits, labels, label_smoothing=smooth
    )
    found = GridLoss(label_smoothing=smooth)(output, labels, 3, up)
    assert found.item() == pytest.approx(expected + rest.item(), rel=1e-9)
    # Without a polarity it is the cross entropy of the sums.
    alone = GridOutput(output.logits, cells, merged)
    assert grid_loss(output, labels, 3).item() == grid_loss(alone, labels, 3).item()


@pytest.mark.parametrize("epoch", [0.0, 200.0])  # the lower branch alone, and with the others
def test_the_task_trains_it(epoch, images):
    model = create_model(NAME, polarity=True, **SMALL)
    task = TrainingTask(model, GridLoss(beta=0.0))
    labels, up = torch.tensor([0, 23, 5]), torch.tensor([True, False, True])
    task.eval()  # so that batch-norm computes the same twice
    loss = task(images, labels, epoch, up)
    assert loss.item() == pytest.approx(task.loss(model.branches(images), labels, epoch, up).item(), rel=1e-5)
    assert loss.item() != task(images, labels, epoch, ~up).item()
    assert loss.item() != task(images, labels, epoch).item()
    loss.backward()
    assert model.classifier.weight.grad.abs().sum() > 0


def test_what_a_task_refuses(images):
    labels, up = torch.tensor([0, 1, 2]), torch.tensor([True, False, True])
    for epoch in (0.0, 200.0):
        with pytest.raises(GricolZooError, match="Create it with `polarity=True`, or leave the polarity out"):
            TrainingTask(create_model(NAME, **SMALL), GridLoss(beta=0.0))(images, labels, epoch, up)
    with pytest.raises(GricolZooError, match="Expected images of shape"):
        TrainingTask(create_model(NAME, polarity=True, **SMALL), GridLoss(beta=0.0))(images[..., 1:], labels, 0.0, up)
    task = TrainingTask(create_model(NAME, polarity=True, **SMALL), GridLoss())
    with pytest.raises(GricolZooError, match="one class per image with its polarity"):
        task(images, torch.full((3, 24), 1 / 24), 0.0, up)


@pytest.mark.parametrize("deployed", [False, True])
@pytest.mark.parametrize("name", ["abn_r50", "dcl_r50", "ntsnet_r50", "siamese2017"])
def test_an_objective_of_its_own_is_refused(name, deployed):
    with torch.device("meta"), pytest.raises(GricolZooError, match="its own objective, which does not support polarity"):
        create_model(name, polarity=True, deployed=deployed)


def test_weights_without_are_a_start_that_keeps_the_logits():
    plain = create_model(WEIGHTS, pretrained=True)
    images = as_batch(canvases_of(plain, synthetic_crops(6)), plain.spec)
    for deployed in (False, True):
        told = create_model(WEIGHTS, pretrained=True, polarity=True, deployed=deployed)
        assert told.load_report.adapted == ["classifier.weight", "classifier.bias"]
        assert not told.load_report.new
        with torch.no_grad():
            logits, up = told.both(images)
            torch.testing.assert_close(logits, plain(images), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(up, torch.full((6,), 0.5))


def test_files_with_and_without(model, images, tmp_path):
    model.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["gricol_zoo"]["spec"]["polarity"] is True
    assert stored["num_classes"] == 24
    name = f"local-dir:{tmp_path}"
    for deployed in (False, True):
        loaded = create_model(name, pretrained=True, deployed=deployed)
        assert loaded.spec == model.spec
        with torch.no_grad():
            np.testing.assert_allclose(loaded.both(images)[0], model(images), rtol=0.02, atol=0.05)
            np.testing.assert_allclose(loaded.both(images)[1], model.both(images)[1], atol=0.02)
    plain = create_model(name, pretrained=True, polarity=False)
    assert plain.load_report.adapted == ["classifier.weight", "classifier.bias"]
    pairs = loaded.classifier.weight.detach().numpy()
    np.testing.assert_allclose(plain.classifier.weight.detach(), (pairs[::2] + pairs[1::2]) / 2, rtol=1e-5, atol=1e-6)


def test_there_and_back_is_where_it_was(tmp_path):
    plain = create_model(WEIGHTS, pretrained=True)
    create_model(WEIGHTS, pretrained=True, polarity=True).save_pretrained(tmp_path)
    back = create_model(f"local-dir:{tmp_path}", pretrained=True, polarity=False)
    for one, other in zip(back.classifier.parameters(), plain.classifier.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ((24, True), (48, False)),  # as many outputs, but with another meaning
        ((48, False), (24, True)),
        ((24, True), (5, True)),
        ((24, True), (5, False)),
        ((24, False), (5, True)),
    ],
)
@pytest.mark.parametrize("deployed", [False, True])
def test_another_number_of_classes_starts_anew(stored, wanted, deployed, images, tmp_path):
    create_model(NAME, num_classes=stored[0], polarity=stored[1], **SMALL).save_pretrained(tmp_path)
    name = f"local-dir:{tmp_path}"
    changed = create_model(name, True, deployed, num_classes=wanted[0], polarity=wanted[1])
    assert {"classifier.weight", "classifier.bias"} <= set(changed.load_report.new)
    assert not changed.load_report.adapted
    with torch.no_grad():
        assert changed(images).shape == (3, wanted[0])
    assert changed.spec.polarity == wanted[1]
    if stored[1]:  # polarity is kept where it is not set
        assert create_model(name, True, deployed, num_classes=5).classifier.out_features == 10


def test_timm_opens_the_same_door(model, images, tmp_path):
    import timm

    import gricol_zoo.timm_bridge  # noqa: F401

    model.save_pretrained(tmp_path)
    ours = create_model(f"local-dir:{tmp_path}", pretrained=True)
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    with torch.no_grad():
        for one, other in zip(theirs.both(images), ours.both(images), strict=True):
            assert torch.equal(one, other)
    assert timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=5).classifier.out_features == 10
    theirs.reset_classifier(5)
    assert (theirs.classifier.out_features, theirs.spec.polarity) == (5, False)
    assert timm.create_model(NAME, polarity=True, num_classes=0)(torch.randn(2, 1, 128, 96)).shape == (2, 256)


@pytest.mark.parametrize("value", [1, False, "true", None])
def test_a_config_that_says_another_thing_to_timm_is_refused(model, value, tmp_path):
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_args"]["polarity"] is True
    config["model_args"]["polarity"] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(GricolZooError, match="which contradicts the spec"):
        create_model(f"local-dir:{tmp_path}", pretrained=True)


def test_many_images_at_once(model):
    rng = np.random.default_rng(0)
    canvases = rng.integers(0, 256, (11, *SMALL["image_size"]), dtype=np.uint8)
    logits, up = predict_both(model, canvases, batch_size=4)
    with torch.no_grad():
        expected = [part.numpy() for part in model.both(as_batch(list(canvases), model.spec))]
    np.testing.assert_allclose(logits, expected[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(up, expected[1], atol=1e-4)
    np.testing.assert_array_equal(logits, predict_logits(model, canvases, batch_size=4))
    plain = create_model(NAME, **SMALL).eval()
    alone, none = predict_both(plain, canvases)
    assert none is None
    np.testing.assert_array_equal(alone, predict_logits(plain, canvases))
    with pytest.raises(GricolZooError, match="polarity=True"):
        make_classifying(plain, polarity=True)(list(canvases))


def test_features_are_classified_as_images_are(model):
    canvases = np.random.default_rng(0).integers(0, 256, (9, *SMALL["image_size"]), dtype=np.uint8)
    found = classify_features(model, pooled_features(model, canvases))
    np.testing.assert_array_equal(found, predict_logits(model, canvases).argmax(1))
    assert found.max() < 24


# Files


@pytest.fixture(scope="module")
def trained_like():
    """A model with polarity whose logits are those of trained weights, and whose polarity depends on the image."""
    model = create_model(WEIGHTS, pretrained=True, polarity=True)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        model.classifier.weight += 0.05 * torch.randn(model.classifier.weight.shape, generator=generator)
    return model


@pytest.mark.parametrize(
    ("format", "crops"), [("onnx", False), ("pt2", False), pytest.param("onnx", True, marks=pytest.mark.slow)]
)
def test_a_file_has_both_outputs(trained_like, format, crops, tmp_path):
    file = tmp_path / f"model.{format}"
    found = export_model(trained_like, file, format, crops=crops, check=synthetic_crops(12))
    assert (found.images, found.changed, found.turned) == (12, 0, 0)
    assert np.ptp(found.up_before) > 0.1
    exported = open_exported(file)
    assert exported.outputs == ("logits", "short_arm_up")
    crop = synthetic_crops(3, seed=5)
    canvases = canvases_of(trained_like, crop)
    with torch.no_grad():
        expected = [part.numpy() for part in trained_like.both(as_batch(list(canvases), trained_like.spec))]
    for i in range(3):
        given = np.stack([crop[i] if crops else canvases[i]] * 2)
        logits, up = exported.both(given)
        assert (logits.shape, up.shape, up.dtype) == ((2, 24), (2,), np.float32)
        np.testing.assert_array_equal(exported.logits(given), logits)
        np.testing.assert_allclose(logits, expected[0][[i, i]], atol=0.1 if crops else 1e-3)
        np.testing.assert_allclose(up, expected[1][[i, i]], atol=2e-2 if crops else 1e-4)
    if format == "onnx":
        assert [each.name for each in onnx.load(file).graph.output] == ["logits", "short_arm_up"]


@pytest.mark.slow
def test_int8_keeps_the_classifier(trained_like, tmp_path):
    file = tmp_path / "m.onnx"
    found = export_model(trained_like, file, "int8", check=synthetic_crops(24, 1), calibrate=synthetic_crops(32, 2))
    assert 0 < found.up_difference < 0.3
    assert "Gemm" in {each.op_type for each in onnx.load(file).graph.node}
    exported = open_exported(file)
    _, up = exported.both(canvases_of(trained_like, synthetic_crops(24, 1)))
    np.testing.assert_allclose(up, found.up_after, atol=1e-5)


@pytest.mark.slow
def test_a_file_without_says_so(tmp_path):
    model = create_model("r18half_128", image_size=(64, 64)).eval()
    for ending in ("onnx", "pt2"):
        file = tmp_path / f"m.{ending}"
        assert len(export_model(model, file, ending, check=synthetic_crops(2)).up_before) == 0
        exported = open_exported(file)
        assert exported.outputs == ("logits",)
        with pytest.raises(GricolZooError, match="This exported model does not predict polarity"):
            exported.both(np.zeros((1, 64, 64), np.uint8))
    older = onnx.load(tmp_path / "m.onnx")
    kept = {each.key: each.value for each in older.metadata_props if each.key != "outputs"}  # as in older files
    onnx.helper.set_model_props(older, kept)
    onnx.save(older, tmp_path / "older.onnx")
    exported = open_exported(tmp_path / "older.onnx")
    assert exported.logits(np.zeros((1, 64, 64), np.uint8)).shape == (1, 24)
    with pytest.raises(GricolZooError, match="This exported model does not predict polarity"):
        exported.both(np.zeros((1, 64, 64), np.uint8))


@pytest.mark.slow
def test_a_file_that_tells_another_polarity_is_not_kept(trained_like, tmp_path, monkeypatch):
    write = exporting.write_onnx

    def swapped(program, file, info):
        write(program, file, info)
        graph = onnx.load(file)
        for each in graph.graph.initializer:
            if each.name.endswith(("classifier.bias", "classifier.weight")):
                value = onnx.numpy_helper.to_array(each)
                pairs = value.reshape(-1, 2, *value.shape[1:])[:, ::-1].reshape(value.shape)
                each.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(pairs), each.name))
        onnx.save(graph, file)

    monkeypatch.setattr(exporting, "write_onnx", swapped)  # the logits stay what they were
    with pytest.raises(GricolZooError, match=r"does not match the polarity of the Python model.*Nothing was written"):
        export_model(trained_like, tmp_path / "m.onnx", check=synthetic_crops(12))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("precision", "before", "after", "refused"),
    [
        ("fp32", [0.9, 0.2], [0.9, 0.2], False),
        ("fp32", [0.9, 0.501], [0.9, 0.499], False),  # undecided in both
        ("fp32", [0.9, 0.2], [0.9, 0.22], True),
        ("fp32", [0.9, 0.2], [0.9, float("nan")], True),
        ("int8", [0.9, 0.2], [0.6, 0.4], False),
        ("int8", [0.9, 0.2], [0.6, 0.6], False),  # one of few, as for classes
        ("int8", [0.9, 0.2], [0.4, 0.6], True),
    ],
)
def test_what_of_polarity_is_refused(precision, before, after, refused):
    class Exported:
        info = {"precision": precision, "input": "canvases"}  # noqa: RUF012

    same = np.array([1, 2])
    found = Agreement(0.0, 0.0, 5.0, same, same, np.array(before, np.float32), np.array(after, np.float32))
    if refused:
        with pytest.raises(GricolZooError, match="does not match the polarity"):
            check_agreement(found, Exported())
    else:
        check_agreement(found, Exported())


# Training


def test_half_of_the_images_are_turned():
    images, up = torch.rand(400, 4, 3), torch.rand(400) < 0.7
    turned, after = turn_some(images, up, Draws(torch.Generator().manual_seed(0), 400))
    changed = up != after
    assert 160 < changed.sum() < 240
    for i in range(400):
        expected = images[i].rot90(2) if changed[i] else images[i]
        assert torch.equal(turned[i], expected)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_turn_what_one_does(processes):
    images, up = torch.rand(12, 4, 3), torch.rand(12) < 0.5
    whole, after = turn_some(images, up, Draws(torch.Generator().manual_seed(5), 12))
    for index in range(processes):
        mine = slice(index, None, processes)
        draws = Draws(torch.Generator().manual_seed(5), len(images[mine]), index, processes)
        part, told = turn_some(images[mine], up[mine], draws)
        assert torch.equal(part, whole[mine])
        assert torch.equal(told, after[mine])


def test_images_that_lie_short_arm_down():
    records = [Record(f"{i}.png", extra={"short_arm": arm} if arm else {}) for i, arm in enumerate(("", "up", " Down", "down"))]
    assert arms_up(records).tolist() == [True, True, False, False]
    with pytest.raises(GricolZooError, match=r"9\.png: expected `short_arm` to be up, down or empty, but got 'left'"):
        arms_up([Record("9.png", extra={"short_arm": "left"})])


def test_what_a_recipe_must_not_do(chromosomes, tmp_path):
    spec = ModelSpec("r18half", polarity=True)
    check_polarity(spec, QUICK)
    flips = dataclasses.replace(QUICK, augment=Augment(flip_arms=0.5))
    mixes = dataclasses.replace(QUICK, mixup=0.2)
    for recipe, said in ((flips, "Set the recipe's `flip_arms` to 0"), (mixes, "`mixup` blends")):
        check_polarity(spec.replace(polarity=False), recipe)
        with pytest.raises(GricolZooError, match=said):
            check_polarity(spec, recipe)
        images, split, _ = split_for(open_images(chromosomes), 0)
        with pytest.raises(GricolZooError, match=said):
            train(images, split, "r18half_128", recipe, tmp_path / "run", device="cpu", changes={"polarity": True})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("always", "expected"), [("up", 0.5), ("right", 1.0), ("wrong", 0.0)])
def test_accuracy_is_of_both_ways_up(always, expected, monkeypatch):
    import importlib

    canvases = np.zeros((4, 6, 5), np.uint8)
    arms = np.array([True, False, True, True])
    canvases[arms, 0], canvases[~arms, -1] = 200, 200

    def told(model, canvases, dtype="fp32"):
        lies_up = canvases[:, 0].max(1) > 0
        up = {"up": np.ones(4), "right": lies_up * 0.9, "wrong": 1 - lies_up * 0.9}[always]
        return np.zeros((4, 24)), up

    monkeypatch.setattr(importlib.import_module("gricol_zoo.evaluation.report"), "predict_both", told)
    assert polarity_accuracy(None, canvases, arms, told(None, canvases)[1]) == expected


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A training with polarity; the short arm of some of its images is down."""
    folder = tiny_set(tmp_path_factory.mktemp("polarity") / "set", cells=12, classes=("1", "16", "21"))
    rows = list(csv.DictReader((folder / "manifest.csv").open()))
    for i, row in enumerate(rows):
        row["short_arm"] = "down" if i % 3 == 0 else ""
        if i % 3 == 0:
            Image.open(folder / row["path"]).rotate(180).save(folder / row["path"])
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    images, split, name = split_for(open_images(folder), 0)
    recipe, out = dataclasses.replace(QUICK, epochs=14), folder.parent / "run"
    changes = {"polarity": True, "image_size": [64, 48]}
    assert train(images, split, "r18half_128", recipe, out, device="cpu", split_name=name, init=WEIGHTS, changes=changes)
    return out, images


@pytest.mark.slow
def test_a_training_learns_which_end_is_up(learned):
    out, images = learned
    model = create_model(f"local-dir:{out}", pretrained=True)
    assert model.spec.polarity
    assert model.info["val"]["polarity_accuracy"] >= 0.9
    rows = list(csv.DictReader((out / "log.csv").open()))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    shown = images.subset(list(range(12)))
    _, up = predict_both(model, canvases_of(model, read_crops(shown)))
    assert ((up > 0.5) == arms_up(shown.records)).mean() >= 0.9


@pytest.mark.slow
def test_a_training_is_the_same_again(learned, tmp_path):
    _, images = learned
    split = split_for(images, 0)[1]
    for run in ("one", "other"):
        train(images, split, "r18half_128", QUICK, tmp_path / run, device="cpu", changes={"polarity": True})
    one, other = ((tmp_path / run / "model.safetensors").read_bytes() for run in ("one", "other"))
    assert one == other


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path):
    tiny_set(tmp_path / "set")
    (tmp_path / "recipe.json").write_text(json.dumps(dataclasses.replace(FROZEN, augment=Augment(tilt=5.0)).to_dict()))
    assert main(arguments(tmp_path, tmp_path / "one", "--change", "polarity=true")) == 0
    ((said, code),) = finish(training(launched(2, get_free_port()), tmp_path, tmp_path / "two", "--change", "polarity=true"))
    assert code == 0, said
    same(tmp_path / "one", tmp_path / "two")
    values = [json.loads((tmp_path / run / "config.json").read_text())["gricol_zoo"]["val"] for run in ("one", "two")]
    assert values[0]["polarity_accuracy"] == values[1]["polarity_accuracy"]
