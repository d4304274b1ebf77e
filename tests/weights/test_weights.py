"""Saving, loading and adapting weights, and every way in which a file can be wrong."""

import json

import pytest
import torch
from helpers.models import SMALL
from safetensors.torch import load_file, save_file

from gricol_zoo import GricolZooError, GridModel, create_model
from gricol_zoo.files import file_sha256
from gricol_zoo.weights.config import CONFIG_FILE
from gricol_zoo.weights.source import WEIGHTS_FILE, find_in_dir
from gricol_zoo.weights.tensors import adapt_channels

NAME = "gricol_r18half_n3_128"


@pytest.fixture
def saved(tmp_path):
    model = create_model(NAME, **SMALL, overview="conv").eval()
    model.info = {"temperature": 1.5}
    model.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def images(channels=1):
    return torch.randn(2, channels, 96, 98)


def load(folder, **changes):
    return create_model(f"local-dir:{folder}", pretrained=True, **changes)


def test_every_way_in_is_bit_equal(saved):
    x = images()
    expected = load(saved)(x)
    assert torch.equal(GridModel.from_pretrained(str(saved))(x), expected)
    assert torch.equal(load(saved, deployed=True)(x), expected)
    assert torch.equal(load(saved).deploy()(x), expected)


def test_what_came_with_the_weights_stays_with_them(saved, tmp_path):
    model = load(saved)
    assert model.info["temperature"] == 1.5
    model.save_pretrained(tmp_path / "again")
    assert load(tmp_path / "again").info["temperature"] == 1.5
    assert not model.training


def test_disk_is_fp16_and_compute_is_fp32(saved):
    tensors = load_file(saved / WEIGHTS_FILE)
    assert tensors["backbone.conv1.weight"].dtype == torch.float16
    assert tensors["backbone.bn1.running_var"].dtype == torch.float32
    assert all(p.dtype == torch.float32 for p in load(saved).parameters())


def test_other_classes_renew_the_classifiers_alone(saved):
    model, source = load(saved, num_classes=10), load(saved)
    assert model(images()).shape == (2, 10)
    assert sorted(model.load_report.new) == sorted(
        key for key in model.state_dict() if key.startswith(("classifier", "head.classifiers", "head.merged_classifier"))
    )
    assert torch.equal(model.backbone.layer4[1].conv2.weight, source.backbone.layer4[1].conv2.weight)
    assert torch.equal(model.head.merge.weight, source.head.merge.weight)
    assert load(saved, num_classes=0, deployed=True)(images()).shape == (2, 256)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_grey_weights_on_equal_channels_give_the_grey_result(saved, channels):
    x = images()
    model = load(saved, in_chans=channels)
    assert set(model.load_report.adapted) == {"overview.conv.weight", "overview.conv.bias", "backbone.conv1.weight"}
    torch.testing.assert_close(model(x.expand(-1, channels, -1, -1)), load(saved)(x), atol=1e-4, rtol=1e-4)


def test_colour_weights_to_grey_are_summed():
    weight = torch.randn(8, 3, 3, 3)
    adapted = adapt_channels(weight, 3, torch.Size([8, 1, 3, 3]))
    grey = torch.randn(1, 1, 5, 5)
    expected = torch.nn.functional.conv2d(grey.expand(-1, 3, -1, -1), weight)
    torch.testing.assert_close(torch.nn.functional.conv2d(grey, adapted), expected)
    assert adapt_channels(weight, 3, torch.Size([8, 1, 5, 5])) is None


def cut(folder):
    file = folder / WEIGHTS_FILE
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(folder):
    file = folder / WEIGHTS_FILE
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))


def edit(**changes):
    def apply(folder):
        config = json.loads((folder / CONFIG_FILE).read_text())
        config["gricol_zoo"].update(changes)
        (folder / CONFIG_FILE).write_text(json.dumps(config))

    return apply


def describe_again(folder):
    file = folder / WEIGHTS_FILE
    edit(sha256=file_sha256(file), size=file.stat().st_size)(folder)


def other_tensors(folder):
    tensors = load_file(folder / WEIGHTS_FILE)
    tensors["extra"] = torch.zeros(1)
    save_file(tensors, folder / WEIGHTS_FILE)
    describe_again(folder)


def fewer_tensors(folder):
    tensors = load_file(folder / WEIGHTS_FILE)
    del tensors["head.merge.weight"]
    save_file(tensors, folder / WEIGHTS_FILE)
    describe_again(folder)


def other_model(folder):
    config = json.loads((folder / CONFIG_FILE).read_text())
    config["gricol_zoo"]["spec"]["backbone"] = "r50half"
    (folder / CONFIG_FILE).write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (cut, "not the file that its config describes"),
        (flip, "not the file that its config describes"),
        (lambda folder: (cut(folder), describe_again(folder)), "truncated"),
        (other_tensors, "tensors that this model lacks (1), such as 'extra'"),
        (fewer_tensors, "has no tensor 'head.merge.weight'"),
        (other_model, "but the model needs"),
        (edit(format=2), "format is 2, but this version reads 1"),
        (edit(spec={"backbone": "r18half", "evil": 1}), "Unknown option `evil`"),
        (edit(spec={}), "missing 1 required positional argument"),
        (lambda folder: (folder / CONFIG_FILE).write_text("{"), "not valid JSON"),
        (lambda folder: (folder / CONFIG_FILE).write_text("{}"), "no `gricol_zoo` key"),
        (lambda folder: (folder / CONFIG_FILE).write_text("[" * 5000), "not valid JSON"),
        (lambda folder: (folder / CONFIG_FILE).write_text(" " * (2 << 20)), "Expected a config of at most"),
        (lambda folder: (folder / CONFIG_FILE).unlink(), "has no config.json"),
        (lambda folder: (folder / WEIGHTS_FILE).unlink(), "has no model.safetensors"),
    ],
)
def test_harmed_files_are_refused(saved, harm, message):
    harm(saved)
    with pytest.raises(GricolZooError) as caught:
        load(saved)
    assert message in str(caught.value)


def test_diverged_weights_are_not_saved(tmp_path):
    model = create_model(NAME, **SMALL)
    torch.nn.init.constant_(model.head.merge.weight, 1e6)
    with pytest.raises(GricolZooError, match=r"head\.merge\.weight.*not finite in fp16"):
        model.save_pretrained(tmp_path)


def test_config_serves_timm_too(saved):
    config = json.loads((saved / CONFIG_FILE).read_text())
    assert config["architecture"] == NAME
    assert config["pretrained_cfg"]["input_size"] == [1, 96, 98]
    assert config["model_args"] == {"image_size": [96, 98], "cell_size": [48, 48], "overview": "conv"}
    assert config["label_names"][22] == "X"
    assert find_in_dir(saved).info.sha256 == config["gricol_zoo"]["sha256"]
