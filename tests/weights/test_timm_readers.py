"""timm reads config.json before our checks: it gets the file that the Hub promised, and every failure is one of our errors."""

import contextlib
import json
import warnings

import huggingface_hub.constants
import pytest
import timm
import torch
from helpers.models import SMALL

import gricol_zoo.timm_bridge
from gricol_zoo import GricolZooError, create_model
from gricol_zoo.errors import CacheError, ConfigError, CorruptWeightsError, HubError, NoAccessError, NotOnHubError

NAME = "r18half_128"
REPO = "org/zoo"
CONFIG = "config.json"


@pytest.fixture
def saved(tmp_path):
    create_model(NAME, **SMALL).save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture
def commit(hub, saved):
    return hub.commit(REPO, {file.name: file.read_bytes() for file in saved.iterdir()})


def by_timm(revision="", **options):
    return timm.create_model(f"hf-hub:{REPO}{revision}", pretrained=True, **options)


def cached(tmp_path, commit):
    return tmp_path / "hf_cache" / "models--org--zoo" / "snapshots" / commit / CONFIG


def flip_classes(data):
    """One flipped bit: 24 classes become 25."""
    flipped = data.replace(b'"num_classes": 24,\n', b'"num_classes": 25,\n', 1)
    assert flipped != data
    return flipped


HARMS = {
    "one bit": flip_classes,
    "not UTF-8": lambda data: b"\xff\xfe" + data,
    "not JSON": lambda data: data[:-20],
    "empty": lambda data: b"",
    "a list": lambda data: b"[]",
    "other labels": lambda data: data.replace(b'"X",', b'"Z",'),
    "another architecture": lambda data: data.replace(NAME.encode(), b"r50half", 1),
    "timm's own architecture": lambda data: data.replace(NAME.encode(), b"resnet18", 1),
    "other means": lambda data: data.replace(b"0.5", b"0.6"),
}

CONSISTENT = ("another architecture", "other means")  # valid configs that the owner could also have written


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_cache_heals(hub, commit, tmp_path, monkeypatch, harm, pinned):
    revision = f"@{commit}" if pinned else ""
    expected = by_timm(revision)
    file = cached(tmp_path, commit)
    whole = file.read_bytes()
    file.resolve().write_bytes(HARMS[harm](whole))
    model = by_timm(revision)
    assert model.num_classes == 24
    assert torch.equal(model.classifier.weight, expected.classifier.weight)
    assert file.read_bytes() == whole
    file.resolve().write_bytes(HARMS[harm](whole))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CorruptWeightsError, match="damaged"):
        by_timm(revision)


@pytest.mark.parametrize("harm", sorted(HARMS.keys() - CONSISTENT))
def test_a_harmed_config_on_the_hub_is_refused(hub, saved, harm):
    files = {file.name: file.read_bytes() for file in saved.iterdir()}
    hub.commit(REPO, {**files, CONFIG: HARMS[harm](files[CONFIG])})
    with pytest.raises(GricolZooError):
        by_timm()


@pytest.mark.parametrize("harm", sorted(HARMS.keys() - CONSISTENT))
def test_a_harmed_config_in_a_folder_is_refused(saved, harm):
    (saved / CONFIG).write_bytes(HARMS[harm]((saved / CONFIG).read_bytes()))
    with pytest.raises(GricolZooError):
        timm.create_model(f"local-dir:{saved}", pretrained=True)


def test_a_bit_that_flips_on_the_way(hub, commit):
    hub.break_next("flip", "GET", CONFIG)
    assert by_timm().num_classes == 24
    hub.forget()


FAULTS = ["500", "503", "429", "401", "403", "404", "reset", "loop", "size", "etag", "cut", "short", "long", "flip"]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_one_of_our_errors_and_heals(hub, commit, kind, method):
    hub.break_next(kind, method, CONFIG, 99)
    with contextlib.suppress(HubError, CorruptWeightsError):  # and no other
        by_timm()
    hub.faults.clear()
    assert by_timm().num_classes == 24
    hub.break_next(kind, method, CONFIG, 99)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the commit that is taken from the cache
        assert by_timm(f"@{commit}").num_classes == 24


@pytest.mark.parametrize("kind", ["500", "429", "401", "reset"])
def test_each_raw_error_of_before(hub, commit, kind):
    hub.break_next(kind, "HEAD", CONFIG, 99)
    with pytest.raises(NoAccessError if kind == "401" else HubError):
        by_timm()


@pytest.mark.parametrize("place", ["/proc/none", "/dev/null/x", "a\0b", "x" * 300])
def test_a_bad_cache(hub, commit, place):
    with pytest.raises(CacheError, match="HF_HOME"):
        by_timm(cache_dir=place)
    with pytest.raises(CacheError, match="HF_HOME"):
        gricol_zoo.from_pretrained(REPO, cache_dir=place)


@pytest.mark.parametrize("revision", ["@none", "@a@b", "@"])
def test_a_revision_that_is_none(hub, commit, revision):
    if revision == "@":
        assert by_timm(revision).num_classes == 24
    else:
        with pytest.raises(NotOnHubError):
            by_timm(revision)


def test_what_the_caller_asks_for_is_done(hub, commit):
    assert by_timm(num_classes=5, in_chans=3).classifier.out_features == 5
    assert by_timm(pretrained_cfg_overlay={"num_classes": 7}).classifier.out_features == 7
    assert by_timm().pretrained_cfg["hf_hub_id"] == f"{REPO}@{commit}"


@pytest.mark.parametrize("values", [{"num_classes": 25}, {"mean": (0.1,)}, {"input_size": (3, 96, 98)}, {}])
def test_a_config_that_did_not_come_through_our_reader(hub, commit, values):
    given = {"source": "hf-hub", "hf_hub_id": REPO, **values}
    with pytest.raises(ConfigError, match="timm was given"):
        timm.create_model(NAME, pretrained=True, pretrained_cfg=given)


def test_others_go_through_as_ever(hub, tmp_path):
    model = timm.create_model("resnet10t", num_classes=3)
    timm.models.save_for_hf(model, tmp_path, model_config={"num_classes": 3})
    hub.commit("org/other", {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()})
    loaded = timm.create_model("hf-hub:org/other", pretrained=True)
    assert torch.equal(loaded.conv1[0].weight, model.conv1[0].weight)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert timm.create_model(f"local-dir:{tmp_path}").num_classes == config["num_classes"]
