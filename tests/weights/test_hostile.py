"""Hostile or damaged repositories: none loads, none takes more memory than the model's own, none runs code."""

import json
import pickle
import struct
import sys
from pathlib import Path

import pytest
import timm
import torch
from helpers.models import SMALL
from safetensors.torch import load_file, save

import gricol_zoo.timm_bridge  # noqa: F401  (timm knows our names)
from gricol_zoo import GricolZooError, create_model
from gricol_zoo.files import file_sha256

NAME = "gricol_r18half_n3_128"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
MAX_GROWTH = 50 << 20


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    create_model(NAME, **SMALL, overview="conv").save_pretrained(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def own(**values):
    """Change fields of the key gricol_zoo."""
    return lambda config: config["gricol_zoo"].update(values)


def spec(**values):
    return lambda config: config["gricol_zoo"]["spec"].update(values)


def root(**values):
    return lambda config: config.update(values)


def preprocess(**values):
    return lambda config: config["gricol_zoo"]["spec"]["preprocess"].update(values)


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


def classes(*first):
    """Begin the list of classes with these."""
    names = [*first, *map(str, range(100, 124 - len(first)))]

    def change(config):
        spec(class_names=names)(config)
        root(label_names=names)(config)
        config["model_args"]["class_names"] = names

    return change


ESCAPES = ["\x1b[2J"] * 24
CONFIGS = {
    "architecture is a path": root(architecture="../../etc/passwd"),
    "architecture is code": root(architecture="__import__('os').system('true')"),
    "architecture is a number": root(architecture=7),
    "architecture with an escape": root(architecture="\x1b[2J"),
    "a huge num_classes": lambda config: (spec(num_classes=100_000)(config), root(num_classes=100_000)(config)),
    "num_classes is true": spec(num_classes=True),
    "num_classes is a float": spec(num_classes=24.0),
    "negative num_classes": spec(num_classes=-1),
    "another num_classes at the root": root(num_classes=5),
    "a huge grid": spec(grid=10**9),
    "the largest grid": spec(grid=16, image_size=[8192, 8192]),
    "an enormous image": spec(image_size=[10**9, 10**9]),
    "a size of three": spec(cell_size=[1, 2, 3]),
    "a size is text": spec(image_size="448"),
    "sixty-four channels": spec(in_chans=64),
    "a giant backbone": spec(backbone="timm/vit_huge_patch14_224", overview="none", splitter="none", head="none"),
    "a backbone of a module": spec(backbone="os.system"),
    "a backbone that is a path": spec(backbone="../../evil"),
    "a backbone that is a list": spec(backbone=["r18half"]),
    "options that download": spec(backbone_options={"pretrained": True}),
    "options with a checkpoint": spec(backbone_options={"checkpoint_path": "/etc/passwd"}),
    "options that are huge": spec(backbone_options={"width": 10**9}),
    "options within options": spec(head_options={"gate": {"scalar": {"x": 1}}}),
    "options that are a list": spec(splitter_options=[1, 2]),
    "an unknown gate": spec(head_options={"gate": "evil"}),
    "an unknown field of the spec": spec(pretrained_strict=False),
    "a spec that is text": own(spec="r18half"),
    "no spec": lambda config: config["gricol_zoo"].pop("spec"),
    "an unknown field": own(custom_load="hf"),
    "another format": own(format=99),
    "format is true": own(format=True),
    "no hash": lambda config: config["gricol_zoo"].pop("sha256"),
    "another hash": own(sha256="0" * 64),
    "a hash that is a number": own(sha256=7),
    "a size of zero": own(size=0),
    "an impossible size": own(size=1 << 60),
    "another size": own(size=7_000_000),
    "temperature of zero": own(temperature=0),
    "temperature is text": own(temperature="hot"),
    "threshold above one": own(review_threshold=2),
    "groups that are not a list": own(training={"groups": "c00"}),
    "labels in another order": lambda config: config["label_names"].reverse(),
    "a label too few": lambda config: config["label_names"].pop(),
    "labels with an escape": lambda config: (spec(class_names=ESCAPES)(config), root(label_names=ESCAPES)(config)),
    "a long name of a part": spec(backbone="x" * 100_000),
    "a long size": spec(image_size="9" * 100_000),
    "a size of four thousand digits": spec(grid=int("9" * 4000)),
    "a field of the spec with an escape": spec(**{"\x1b[2J": 1}),
    "a preprocessing with an escape": preprocess(**{"\x9b2J\n": 1}),
    "an option with an escape": spec(head_options={"\x1b[2J": 1}),
    "an option that is not a name": spec(backbone_options={"a b": 1}),
    "an option with a long name": spec(backbone_options={"x" * 50_000: 1}),
    "labels that look alike": lambda config: classes("1", "\uff11")(config),
    "labels that differ only in Unicode form": lambda config: classes("\u00e9", "e\u0301")(config),
    "a version of 2.0": preprocess(version=2.0),
    "a root that is nested": root(pretrained_cfg={"mean": nested(200)}),
    "std of zero": preprocess(std=0.0),
    "an infinite mean": preprocess(mean=1e999),
    "a huge mean": preprocess(mean=1e30),
    "an unknown orientation": preprocess(orientation="sideways"),
    "enormous padding": preprocess(pad_to=[10**9, 10**9]),
    "model_args of another model": root(model_args={"backbone": "timm/vit_huge_patch14_224"}),
    "model_args with a control word": root(model_args={"pretrained_strict": False}),
    "timm's file elsewhere": lambda config: config["pretrained_cfg"].update(file="/etc/passwd"),
    "timm's custom load": lambda config: config["pretrained_cfg"].update(custom_load="hf", hf_hub_filename="evil.bin"),
    "timm's other channels": lambda config: config["pretrained_cfg"].update(input_size=[64, 96, 98]),
}
TEXTS = {
    "not JSON": b"{",
    "an HTML page": b"<html><body>Log in</body></html>",
    "a list": b"[]",
    "nothing": b"",
    "nested for ever": b"[" * 100_000,
    "nested within": json.dumps({"gricol_zoo": {"format": 1, "training": nested(900)}}).encode(),
    "not UTF-8": b"\xff\xfe{}",
    "two megabytes": b" " * (2 << 20),
    "a key twice": lambda good: b'{"architecture": "evil", ' + good.strip()[1:],
    "an endless number": lambda good: good.replace(b'"mean": 0.5', b'"mean": 1e999'),
    "a number of five thousand digits": b'{"gricol_zoo": {"format": ' + b"9" * 5000 + b"}}",
}


def tensors(change):
    def apply(data, folder):
        (folder / WEIGHTS).write_bytes(data)
        loaded = load_file(folder / WEIGHTS)
        change(loaded)
        return save(loaded)

    return apply


def header(change):
    """Change the JSON header of a safetensors file."""

    def apply(data, _folder):
        length = struct.unpack("<Q", data[:8])[0]
        values = json.loads(data[8 : 8 + length])
        change(values)
        text = json.dumps(values).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length :]

    return apply


KEY = "backbone.conv1.weight"


def fill(value):
    return tensors(lambda loaded: loaded[KEY].fill_(value))


BODIES = {
    "NaN": fill(float("nan")),
    "infinity": fill(float("inf")),
    "a tensor less": tensors(lambda loaded: loaded.pop(KEY)),
    "a tensor more": tensors(lambda loaded: loaded.update(evil=torch.zeros(3))),
    "a tensor of another shape": tensors(lambda loaded: loaded.update({KEY: torch.zeros(1, 1, 1, 1)})),
    "a tensor of whole numbers": tensors(lambda loaded: loaded.update({KEY: loaded[KEY].int()})),
    "a huge shape": header(lambda values: values[KEY].update(shape=[1 << 40])),
    "a shape that overflows": header(lambda values: values[KEY].update(shape=[1 << 62, 1 << 62])),
    "a negative shape": header(lambda values: values[KEY].update(shape=[-1])),
    "offsets past the end": header(lambda values: values[KEY].update(data_offsets=[0, 1 << 40])),
    "its header would have half a gigabyte": lambda data, _folder: struct.pack("<Q", 1 << 29) + data[8:],
    "a header without end": lambda data, _folder: b"\xff" * 8 + data[8:],
    "cut": lambda data, _folder: data[: len(data) // 2],
    "longer": lambda data, _folder: data + bytes(1000),
    "nothing": lambda _data, _folder: b"",
    "an HTML page": lambda _data, _folder: b"<html>",
    "a pickle": lambda _data, folder: pickle.dumps(Evil(folder)),
}


class Evil:
    """Unpickled, it leaves a file behind."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (Path.touch, (self.folder / "it_ran",))


def peak_growth(action):
    """Return by how much an action raised this process's peak memory above its memory before, in bytes (Linux only)."""

    def status(key):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])

    if not sys.platform.startswith("linux"):  # only Linux reports the peak
        action()
        return 0
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    action()
    return status("VmHWM") - before


def by_timm(folder):
    return timm.create_model(f"local-dir:{folder}", pretrained=True)


def refused(folder, model_bytes):
    """Check that both doors refuse, ours with one of our errors, and that neither takes much more than the model's own size."""

    def ours():
        with pytest.raises(GricolZooError) as caught:
            create_model(f"local-dir:{folder}", pretrained=True)
        assert len(str(caught.value)) < 1500
        assert str(caught.value).isprintable()

    def timms():
        with pytest.raises((GricolZooError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, RecursionError)):
            by_timm(folder)

    for door in (ours, timms):
        assert peak_growth(door) < model_bytes + MAX_GROWTH
    assert not (folder / "it_ran").exists()


def write(folder, files, config=None, body=None):
    """Write a folder whose config states the true hash and size of the weights file."""
    (folder / WEIGHTS).write_bytes(files[WEIGHTS] if body is None else body)
    if not isinstance(config, bytes):
        config = config or json.loads(files[CONFIG])
        if body is not None:
            config["gricol_zoo"].update(sha256=file_sha256(folder / WEIGHTS), size=max(1, len(body)))
        config = json.dumps(config).encode()
    (folder / CONFIG).write_bytes(config)


@pytest.fixture(scope="module")
def model_bytes(files):
    return 4 * len(files[WEIGHTS])  # fp16 on disk, fp32 in memory; its hash is read through a buffer


@pytest.mark.parametrize("harm", CONFIGS)
def test_a_config(files, tmp_path, harm, model_bytes):
    config = json.loads(files[CONFIG])
    CONFIGS[harm](config)
    write(tmp_path, files, config)
    refused(tmp_path, model_bytes)


@pytest.mark.parametrize("harm", TEXTS)
def test_a_config_that_is_none(files, tmp_path, harm, model_bytes):
    text = TEXTS[harm](files[CONFIG]) if callable(TEXTS[harm]) else TEXTS[harm]
    assert text != files[CONFIG]
    write(tmp_path, files, text)
    refused(tmp_path, model_bytes)


@pytest.mark.parametrize("harm", BODIES)
def test_weights(files, tmp_path, harm, model_bytes):
    write(tmp_path, files, body=BODIES[harm](files[WEIGHTS], tmp_path))
    refused(tmp_path, model_bytes)


def test_a_long_header_is_not_parsed(files, tmp_path):
    def many(values):
        values.update({f"x{index}": {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]} for index in range(80_000)})

    write(tmp_path, files, body=header(many)(files[WEIGHTS], tmp_path))
    with pytest.raises(GricolZooError, match="its header would have"):
        create_model(f"local-dir:{tmp_path}", pretrained=True)


def test_a_pickle_instead_of_weights(files, tmp_path, model_bytes):
    write(tmp_path, files)
    (tmp_path / WEIGHTS).unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(tmp_path)))
    refused(tmp_path, model_bytes)


def test_weights_of_another_model(files, tmp_path, model_bytes):
    create_model("gril_r18half_128", **SMALL).save_pretrained(tmp_path)
    write(tmp_path, files, body=(tmp_path / WEIGHTS).read_bytes())
    refused(tmp_path, model_bytes)


def test_the_good_one_loads(files, tmp_path):
    write(tmp_path, files)
    create_model(f"local-dir:{tmp_path}", pretrained=True)
    by_timm(tmp_path)
