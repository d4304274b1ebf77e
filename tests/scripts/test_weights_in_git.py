"""The check of weight files in git's history, on repositories made for the test and on our own."""

import importlib.util
import subprocess
import sys

import pytest
from helpers import ROOT

SCRIPT = ROOT / ".ci" / "weights_in_git.py"


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("weights_in_git", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def repository(tmp_path):
    """A repository with three versions of a weight file, one of them on another branch and none in the checked out tree."""

    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True)

    def commit(**files):
        for name, size in files.items():
            (tmp_path / name.replace("_", ".")).write_bytes(bytes([size % 251]) * size)
        git("add", "-A")
        git("commit", "-qm", "x")

    git("init", "-q", "-b", "main")
    commit(model_safetensors=1000, notes_md=50_000)
    commit(model_safetensors=2000, copy_safetensors=1000)
    git("checkout", "-qb", "other")
    commit(model_safetensors=5000)
    git("checkout", "-q", "main")
    git("rm", "-q", "model.safetensors", "copy.safetensors")
    git("commit", "-qm", "y")
    return tmp_path


def test_every_version_counts_once(check, repository):
    files = check.weight_files(repository)
    assert sorted(size for _, size in files.values()) == [1000, 2000, 5000]
    assert check.too_large(files, each=5000, together=8000) == []


def test_what_is_too_large_is_named(check, repository):
    each, together = check.too_large(check.weight_files(repository), each=4999, together=7999)
    assert each.startswith("model.safetensors (")
    assert "5000 bytes: expected at most 4999" in each
    assert together.startswith("All weight files have 8000 bytes: expected at most 7999")


def test_the_exit_status(check, repository, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", str(repository)])
    assert check.main() == 0
    assert capsys.readouterr().out == "3 weight files in git's history, 8000 bytes\n"
    monkeypatch.setattr(check, "too_large", lambda files: ["this"])
    assert check.main() == 1
    assert capsys.readouterr().out.endswith("WRONG: this\n")
    monkeypatch.setattr(sys, "argv", ["x", str(repository / "nowhere")])
    assert check.main() == 0


def test_our_own_history(check):
    assert f"python3 {SCRIPT.relative_to(ROOT)}" in (ROOT / ".ci" / "run").read_text()
    if (ROOT / ".git").exists():
        assert check.too_large(check.weight_files(ROOT)) == []
