"""Hub names, with the download stood in for: one commit for both files, and errors that say the way out."""

import shutil
from unittest.mock import MagicMock

import huggingface_hub
import pytest
import torch
from conftest import SMALL
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from gricol_zoo import GricolZooError, GridModel, create_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in Hub with one repository; returns the (file, revision) pairs asked of it."""
    create_model("gricol_r18half_n3_128", **SMALL).eval().save_pretrained(tmp_path / "repo")
    asked = []

    def download(repo, name, revision=None, local_files_only=False, **options):
        asked.append((name, revision))
        if repo != "org/zoo":
            raise RepositoryNotFoundError("404 no such repository", response=MagicMock())
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        target = tmp_path / "cache" / "snapshots" / COMMIT / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "repo" / name, target)
        return str(target)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return asked


def test_both_files_come_from_one_commit(hub, tmp_path):
    model = create_model("hf-hub:org/zoo@main", pretrained=True)
    assert hub == [("config.json", "main"), ("model.safetensors", COMMIT)]
    images = torch.randn(1, 1, 96, 98)
    local = create_model(f"local-dir:{tmp_path / 'repo'}", pretrained=True)
    assert torch.equal(model(images), local(images))
    assert torch.equal(GridModel.from_pretrained("org/zoo")(images), local(images))


def test_what_cannot_be_had_is_said(hub):
    with pytest.raises(GricolZooError, match="not in the cache and the Hub cannot be reached") as caught:
        GridModel.from_pretrained("org/zoo", local_files_only=True)
    assert "config.json of org/zoo" in str(caught.value)
    assert "local-dir:path" in str(caught.value)
    with pytest.raises(GricolZooError, match=r"Could not get config\.json of org/other"):
        create_model("hf-hub:org/other", pretrained=True)
