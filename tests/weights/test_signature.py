"""Weights that must be signed: by this key, over these files, through every door."""

import json

import pytest
import timm
from helpers.models import SMALL

import gricol_zoo
import gricol_zoo.timm_bridge
from gricol_zoo import create_model
from gricol_zoo.errors import SignatureError
from gricol_zoo.files import file_sha256
from gricol_zoo.weights.ed25519 import make_keys
from gricol_zoo.weights.signature import sign_folder

REPO = "org/zoo"


@pytest.fixture
def keys(tmp_path):
    return tmp_path / "a.key", make_keys(tmp_path / "a.key"), make_keys(tmp_path / "b.key")


@pytest.fixture
def folder(tmp_path):
    create_model("r18half_128", **SMALL).save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


DOORS = {
    "create_model": lambda name, key: create_model(name, pretrained=True, signed_by=key),
    "from_pretrained": lambda name, key: gricol_zoo.from_pretrained(name.partition(":")[2], signed_by=key),
    "timm": lambda name, key: timm.create_model(name, pretrained=True, signed_by=str(key)),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("place", ["folder", "hub"])
def test_only_signed_weights_load(hub, folder, keys, door, place):
    private, own, other = keys

    def enter(key):
        if place == "folder":
            return DOORS[door](f"local-dir:{folder}", key)
        hub.commit(REPO, {file.name: file.read_bytes() for file in folder.iterdir()})
        return DOORS[door](f"hf-hub:{REPO}", key)

    with pytest.raises(SignatureError, match=r"no signature|has no signature\.json"):
        enter(own)
    sign_folder(folder, private)
    assert enter(own).num_classes == 24
    with pytest.raises(SignatureError, match="valid signature by the key"):
        enter(other)
    # Another config and other weights that fit each other: hashes hold, the signature does not.
    config = json.loads((folder / "config.json").read_text())
    create_model("r18half_128", **SMALL).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text()) != config
    with pytest.raises(SignatureError):
        enter(own)


def test_one_changed_threshold_is_seen(folder, keys):
    private, own, _ = keys
    sign_folder(folder, private)
    config = json.loads((folder / "config.json").read_text())
    config["gricol_zoo"]["review_threshold"] = 0.0
    (folder / "config.json").write_text(json.dumps(config))
    create_model(f"local-dir:{folder}", pretrained=True)
    with pytest.raises(SignatureError):
        create_model(f"local-dir:{folder}", pretrained=True, signed_by=own)


def test_what_does_not_belong_together_is_not_signed(folder, keys):
    (folder / "model.safetensors").write_bytes(b"other")
    with pytest.raises(gricol_zoo.GricolZooError, match="not signed"):
        sign_folder(folder, keys[0])
    assert file_sha256(folder / "model.safetensors")


def test_random_weights_are_not_signed(keys):
    with pytest.raises(SignatureError, match="no weights"):
        create_model("r18half_128", signed_by=keys[1])
