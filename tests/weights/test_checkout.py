"""Released weights outside the package: found in the clone it was installed from, if the bytes are the pinned ones."""

import json
import os
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError

import pytest
import torch
from helpers import ROOT
from helpers.commands import run

from gricol_zoo import WEIGHTS, GricolZooError, create_model, list_models
from gricol_zoo.files import file_sha256
from gricol_zoo.weights import checkout
from gricol_zoo.weights.resolve import ASSETS, packaged_file, place_of

MAX_IN_WHEEL = 60_000_000
NAME = "gril_r18half_128.pki3"
ARCH, _, TAG = NAME.rpartition(".")


class Installed:
    """What importlib.metadata returns for an installed package."""

    def __init__(self, record):
        self.record = record

    def read_text(self, name):
        assert name == "direct_url.json"
        return self.record if isinstance(self.record, str | None) else json.dumps(self.record)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Pretend that the package was installed as pip's record says; its own folder is not in a clone."""
    (tmp_path / "site-packages" / "gricol_zoo").mkdir(parents=True)
    monkeypatch.setattr(checkout, "PACKAGE", tmp_path / "site-packages" / "gricol_zoo")

    def install(record):
        monkeypatch.setattr(checkout, "distribution", lambda name: Installed(record))

    install(None)
    return install


@pytest.fixture
def clone(tmp_path):
    shutil.copytree(ROOT / "hub" / NAME, tmp_path / "my clone" / "hub" / NAME)
    return tmp_path / "my clone"


def of_folder(folder, **more):
    return {"url": folder.as_uri(), "dir_info": more}


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.mark.parametrize("name", list_models(pretrained=True))
def test_every_listed_name_loads_without_a_network(name, no_network):
    model = create_model(name, pretrained=True, deployed=True)
    arch, _, tag = name.rpartition(".")
    assert model.info["sha256"] == WEIGHTS[arch][tag].sha256
    assert place_of(name) in ("package", f"checkout {ROOT / 'hub' / name}")


@pytest.mark.parametrize("more", [{}, {"editable": True}], ids=["copied", "editable"])
def test_a_clone_that_pip_installed_from(installed, clone, no_network, more):
    installed(of_folder(clone, **more))
    assert place_of(NAME) == f"checkout {clone / 'hub' / NAME}"
    images = torch.randn(1, 1, 128, 96)
    expected = create_model(f"local-dir:{ROOT / 'hub' / NAME}", pretrained=True)(images)
    assert torch.equal(create_model(NAME, pretrained=True)(images), expected)


def test_an_editable_install_lies_in_its_clone(installed, clone, monkeypatch):
    monkeypatch.setattr(checkout, "PACKAGE", clone / "gricol_zoo")
    assert place_of(NAME) == f"checkout {clone / 'hub' / NAME}"


def moved(clone):
    clone.rename(clone.with_name("elsewhere"))


def deleted(clone):
    shutil.rmtree(clone)


def tampered(clone):
    file = clone / "hub" / NAME / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def cut(clone):
    os.truncate(clone / "hub" / NAME / "model.safetensors", 1000)


def without_config(clone):
    (clone / "hub" / NAME / "config.json").unlink()


@pytest.mark.parametrize("harm", [moved, deleted, tampered, cut, without_config])
def test_a_clone_that_is_not_what_it_was(installed, clone, harm, capsys):
    installed(of_folder(clone))
    harm(clone)
    is_away()
    assert run("list", "--pretrained", NAME) == 0
    assert capsys.readouterr().out == f"{NAME}  not here, not yet uploaded\n"


def is_away():
    assert place_of(NAME) == "not here, not yet uploaded"
    with pytest.raises(GricolZooError, match=rf"not here.*not been uploaded yet.*`local-dir:CLONE/hub/{NAME}`"):
        create_model(NAME, pretrained=True)


@pytest.mark.parametrize(
    "record",
    [
        None,
        "{",
        [],
        {"url": "file:///tmp/gricol_zoo-1-py3-none-any.whl", "archive_info": {}},
        {"url": "https://example.org/gricol_zoo.git", "vcs_info": {"vcs": "git"}},
        {"url": "file://elsewhere.example/clone", "dir_info": {}},
        {"url": "https://example.org/clone", "dir_info": {}},
        {"url": 1, "dir_info": {}},
    ],
    ids=["from an index", "not JSON", "no mapping", "a wheel", "git", "another machine", "no file", "no text"],
)
def test_installed_from_no_folder(installed, record):
    installed(record)
    assert checkout.installed_from() is None
    is_away()


def test_not_installed_at_all(installed, monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(checkout, "distribution", absent)
    assert checkout.checkouts() == []
    is_away()


def test_a_config_that_another_model_is_in_is_refused(installed, clone):
    installed(of_folder(clone))
    file = clone / "hub" / NAME / "config.json"
    file.write_text(file.read_text().replace('"r18half"', '"r50half"'))
    with pytest.raises(GricolZooError):
        create_model(NAME, pretrained=True)


def test_the_hub_is_named_where_it_has_them(installed, monkeypatch):
    weights = WEIGHTS[ARCH][TAG]
    monkeypatch.setitem(WEIGHTS[ARCH], TAG, weights.__class__(**{**vars(weights), "revision": "0" * 40}))
    assert place_of(NAME) == "Hub"


@pytest.mark.parametrize("name", list_models(pretrained=True))
def test_every_listed_weight_is_pinned(name):
    arch, _, tag = name.rpartition(".")
    weights = WEIGHTS[arch][tag]
    assert 0 < weights.size < MAX_IN_WHEEL
    assert len(bytes.fromhex(weights.sha256)) == 32
    if weights.packaged:
        assert file_sha256(packaged_file(arch, tag)) == weights.sha256


def test_a_wheel_stays_small():
    files = [file for file in ASSETS.parent.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert sum(file.stat().st_size for file in files) < MAX_IN_WHEEL


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_no_large_file_is_in_git_twice():
    listed = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    seen = {}
    for line in listed.splitlines():
        about, _, path = line.partition("\t")
        mode, blob, _ = about.split()
        if mode == "120000" or not (ROOT / path).is_file() or (ROOT / path).stat().st_size < 20_000:
            continue
        assert blob not in seen, f"{path} is {seen[blob]} once more: make it a link"
        seen[blob] = path
