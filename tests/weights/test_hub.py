"""The real Hub client against a local Hub: every way to load and upload, the number of requests, and every fault."""

import json
import os
import subprocess
import sys
import warnings

import huggingface_hub.constants
import huggingface_hub.file_download
import pytest
import torch
from helpers.hub import TOKEN, git_sha1
from helpers.models import SMALL

import gricol_zoo
from gricol_zoo import GricolZooError, GridModel, create_model
from gricol_zoo.errors import (
    CacheError,
    CheckpointError,
    CorruptWeightsError,
    HubError,
    NoAccessError,
    NotOnHubError,
    UnreachableError,
)
from gricol_zoo.models.presets import Weights
from gricol_zoo.weights.source import WEIGHTS_FILE

NAME = "r18half_128"
REPO = "org/zoo"
COLD, MOVING, PINNED = 6, 1, 0
"""Number of requests of a load: with an empty cache (HEAD twice and GET, for both files), a cached branch, a cached commit."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    model = create_model(NAME, **SMALL).eval()
    model.info = {"temperature": 1.5}
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def commit(hub, saved):
    """The hash of the one commit of REPO, which has a tag too."""
    commit = hub.commit(REPO, {file.name: file.read_bytes() for file in saved.iterdir()})
    hub.repos[REPO].tags["v1"] = commit
    return commit


@pytest.fixture
def offline(monkeypatch):
    def switch():
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    return switch


def by_timm(name, **options):
    import timm

    import gricol_zoo.timm_bridge  # noqa: F401

    return timm.create_model(name, pretrained=True, **options)


WAYS = {
    "hf-hub": lambda commit: create_model(f"hf-hub:{REPO}", pretrained=True),
    "hf-hub, deployed": lambda commit: create_model(f"hf-hub:{REPO}", pretrained=True, deployed=True),
    "a tag": lambda commit: create_model(f"hf-hub:{REPO}@v1", pretrained=True),
    "a commit": lambda commit: create_model(f"hf-hub:{REPO}@{commit}", pretrained=True),
    "from_pretrained": lambda commit: GridModel.from_pretrained(REPO),
    "from_pretrained, a commit": lambda commit: GridModel.from_pretrained(REPO, revision=commit),
    "timm": lambda commit: by_timm(f"hf-hub:{REPO}"),
    "timm, a commit": lambda commit: by_timm(f"hf-hub:{REPO}@{commit}"),
}


def logits(model):
    torch.manual_seed(1)
    with torch.inference_mode():
        return model.eval()(torch.randn(2, 1, *SMALL["image_size"]))


@pytest.fixture(scope="module")
def expected(saved):
    return logits(create_model(f"local-dir:{saved}", pretrained=True))


@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_cold_warm_down_and_offline(hub, commit, expected, offline, way):
    enter, pinned = WAYS[way], "a commit" in way
    assert torch.equal(logits(enter(commit)), expected)
    if "timm" not in way:  # timm reads the config itself, before we do
        assert len(hub.log) == COLD, hub.log
    hub.log.clear()
    assert torch.equal(logits(enter(commit)), expected)
    if "timm" not in way:
        assert len(hub.log) == (PINNED if pinned else MOVING), hub.log
    hub.stop()
    huggingface_hub.close_session()  # timm's own request would not survive an open connection that breaks
    if pinned:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            assert torch.equal(logits(enter(commit)), expected)
    else:
        with pytest.warns(UserWarning, match=f"Using commit {commit[:12]} from the cache"):
            assert torch.equal(logits(enter(commit)), expected)
    offline()
    assert torch.equal(logits(enter(commit)), expected)


def test_what_was_loaded_is_known(hub, commit):
    model = create_model(f"hf-hub:{REPO}", pretrained=True)
    assert model.hub_ref == f"{REPO}@{commit}"
    assert model.info["temperature"] == 1.5
    assert model.deploy().hub_ref == model.hub_ref
    assert create_model(NAME).hub_ref == ""


def test_random_weights_need_no_download_of_weights(hub, commit):
    create_model(f"hf-hub:{REPO}")
    assert hub.requests(ends=WEIGHTS_FILE) == 0


def test_nothing_cached_and_no_network_says_the_way_out(hub, commit, offline, tmp_path):
    hub.stop()
    with pytest.raises(UnreachableError) as caught:
        create_model(f"hf-hub:{REPO}", pretrained=True)
    message = str(caught.value)
    for part in (
        "config.json of org/zoo (revision main)",
        str(tmp_path / "hf_cache"),
        hub.url,
        "hf download",
        "local-dir:path",
    ):
        assert part in message
    offline()
    with pytest.raises(UnreachableError, match="offline mode is on"):
        create_model(f"hf-hub:{REPO}", pretrained=True)
    with pytest.raises(UnreachableError, match="offline mode is on"):
        GridModel.from_pretrained(REPO, local_files_only=True)


@pytest.mark.parametrize("local_only", [False, True])
def test_a_config_without_its_weights_offline(hub, commit, offline, local_only):
    create_model(f"hf-hub:{REPO}")
    hub.log.clear()
    if not local_only:
        offline()
    with pytest.raises(UnreachableError, match=r"model\.safetensors of org/zoo"):
        GridModel.from_pretrained(REPO, local_files_only=local_only)
    assert hub.log == []


def test_what_is_not_there(hub, commit):
    for name, message in (
        ("hf-hub:org/none", "no repository 'org/none' on the Hub, or it is private"),
        (f"hf-hub:{REPO}@v2", "no revision 'v2'"),
        ("hf-hub:org/bad..name", "is not a valid Hub repository name"),
    ):
        with pytest.raises(NotOnHubError, match=message):
            create_model(name, pretrained=True)
    hub.commit("org/other", {"README.md": b"# no model"})
    with pytest.raises(NotOnHubError, match=r"org/other has no config\.json at main"):
        create_model("hf-hub:org/other", pretrained=True)


def test_private_and_gated(hub, commit, expected):
    hub.repos[REPO].private = True
    with pytest.raises(NotOnHubError, match="or it is private"):
        GridModel.from_pretrained(REPO)
    with pytest.raises(NotOnHubError) as caught:
        GridModel.from_pretrained(REPO, token="hf_wrongtoken")
    assert "hf_wrongtoken" not in str(caught.value)
    assert torch.equal(logits(GridModel.from_pretrained(REPO, token=TOKEN)), expected)
    assert hub.leaks == []  # the CDN never sees the token
    hub.repos[REPO].private, hub.repos[REPO].gated = False, True
    with pytest.raises(NoAccessError, match="is gated"):
        GridModel.from_pretrained(REPO, force_download=True)


def test_both_files_are_of_one_commit_whatever_the_branch_does(hub, commit, saved, expected):
    def move():
        other = create_model(NAME, **SMALL)
        torch.nn.init.normal_(other.classifier.weight)
        other.save_pretrained(saved.parent / "other")
        hub.commit(REPO, {file.name: file.read_bytes() for file in (saved.parent / "other").iterdir()})

    hub.break_next(move, "HEAD", "model.safetensors")
    model = create_model(f"hf-hub:{REPO}", pretrained=True)
    assert torch.equal(logits(model), expected)
    assert model.hub_ref == f"{REPO}@{commit}"
    later = create_model(f"hf-hub:{REPO}", pretrained=True)
    assert later.hub_ref != model.hub_ref
    assert not torch.equal(logits(later), expected)


FAULTS = [  # kind, method, how often, whether the load still succeeds
    ("cut", "GET", 1, True),
    ("cut", "GET", 99, False),
    ("reset", "GET", 1, True),
    ("reset", "HEAD", 1, True),
    ("reset", "GET", 99, False),
    ("reset", "HEAD", 99, False),
    ("500", "GET", 1, True),
    ("503", "GET", 1, True),
    ("429", "GET", 1, True),
    ("500", "HEAD", 1, True),
    ("503", "HEAD", 1, True),
    ("429", "HEAD", 1, True),
    ("503", "GET", 99, False),
    ("503", "HEAD", 99, False),
    ("404", "GET", 99, False),
    ("short", "GET", 1, True),
    ("short", "GET", 99, False),
    ("long", "GET", 1, True),
    ("long", "GET", 99, False),
    ("flip", "GET", 1, True),
    ("flip", "GET", 99, False),
    ("stall", "GET", 1, True),
    ("etag", "HEAD", 99, False),
    ("size", "HEAD", 99, False),
    ("loop", "HEAD", 99, False),
]


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize(("kind", "method", "times", "succeeds"), FAULTS, ids=lambda value: str(value))
def test_a_fault_gives_the_right_weights_or_one_error_and_then_heals(
    hub, commit, expected, file, kind, method, times, succeeds
):
    hub.break_next(kind, method, file, times)
    if succeeds:
        assert torch.equal(logits(create_model(f"hf-hub:{REPO}", pretrained=True)), expected)
    else:
        with pytest.raises((HubError, CorruptWeightsError)) as caught:
            create_model(f"hf-hub:{REPO}", pretrained=True)
        assert file in str(caught.value)
        assert REPO in str(caught.value)
        assert "\n" not in str(caught.value)
    hub.faults.clear()
    assert torch.equal(logits(create_model(f"hf-hub:{REPO}", pretrained=True)), expected)
    hub.stop()
    with pytest.warns(UserWarning, match="from the cache"):
        assert torch.equal(logits(create_model(f"hf-hub:{REPO}", pretrained=True)), expected)


@pytest.mark.parametrize("kind", ["size", "etag"])
def test_other_weights_than_the_config_describes_are_not_downloaded(hub, commit, kind):
    hub.break_next(kind, "HEAD", WEIGHTS_FILE, 99)
    with pytest.raises(CorruptWeightsError, match="It was not downloaded"):
        create_model(f"hf-hub:{REPO}", pretrained=True)
    assert not any(path.startswith("/cdn/") for _, path in hub.log)


def test_an_enormous_config_is_not_downloaded(hub):
    hub.commit("org/large", {"config.json": b" " * (2 << 20)})
    with pytest.raises(CorruptWeightsError, match="has 2097152 bytes; expected at most 1048576"):
        create_model("hf-hub:org/large", pretrained=True)
    assert hub.requests("GET") == 0


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("revision", ["", "commit"])
def test_a_damaged_cache_is_noticed_and_mended(hub, commit, expected, offline, tmp_path, file, revision):
    name = f"hf-hub:{REPO}" + (f"@{commit}" if revision else "")
    create_model(name, pretrained=True)
    cached = tmp_path / "hf_cache" / "models--org--zoo" / "snapshots" / commit / file
    whole = cached.read_bytes()
    where = whole.index(b"1.5") if file == "config.json" else len(whole) // 2
    cached.resolve().write_bytes(whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :])
    with pytest.raises(CorruptWeightsError, match="damaged"):
        GridModel.from_pretrained(REPO, revision=commit, local_files_only=True)
    model = create_model(name, pretrained=True)
    assert torch.equal(logits(model), expected)
    assert model.info["temperature"] == 1.5
    assert cached.read_bytes() == whole


def test_a_cache_without_links(hub, commit, expected, monkeypatch):
    monkeypatch.setattr(huggingface_hub.file_download, "are_symlinks_supported", lambda *_: False)
    for _ in range(2):
        assert torch.equal(logits(create_model(f"hf-hub:{REPO}@{commit}", pretrained=True)), expected)
    assert len(hub.log) == COLD


def test_a_part_that_needs_memory_to_be_built(hub, tmp_path, monkeypatch):
    class Computing(torch.nn.Conv2d):
        def __init__(self, in_chans):
            super().__init__(in_chans, 8, 3)
            self.num_features = 8
            self.scale = float(self.weight.detach().std())  # not known on the meta device

    monkeypatch.setitem(gricol_zoo.BACKBONES._items, "computing", Computing)
    create_model(NAME, backbone="computing").save_pretrained(tmp_path / "own")
    create_model(f"local-dir:{tmp_path / 'own'}", pretrained=True)
    hub.commit(REPO, {file.name: file.read_bytes() for file in (tmp_path / "own").iterdir()})
    with pytest.raises(CheckpointError, match="hf download org/zoo --local-dir DIR"):
        create_model(f"hf-hub:{REPO}", pretrained=True)
    assert hub.requests(ends=WEIGHTS_FILE) == 0


@pytest.mark.parametrize("number", [28, 30, 13])  # no space, read-only, no permission
def test_a_cache_that_cannot_be_written(hub, commit, monkeypatch, number):
    def refuse(*_args, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(CacheError, match="Free disk space, or set HF_HOME"):
        create_model(f"hf-hub:{REPO}", pretrained=True)


@pytest.mark.slow
def test_two_processes_at_once(hub, commit, expected, tmp_path):
    script = (
        "import sys, torch, gricol_zoo\n"
        f"model = gricol_zoo.create_model('hf-hub:{REPO}', pretrained=True)\n"
        f"torch.manual_seed(1)\nimages = torch.randn(2, 1, *{SMALL['image_size']})\n"
        "with torch.inference_mode():\n    torch.save(model(images), sys.argv[1])\n"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hf_cache"), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    files = [tmp_path / "a.pt", tmp_path / "b.pt"]
    runs = [subprocess.Popen([sys.executable, "-c", script, str(file)], env=environment) for file in files]
    assert [run.wait(timeout=100) for run in runs] == [0, 0]
    for file in files:
        torch.testing.assert_close(torch.load(file), expected)
    assert sum(path.startswith("/cdn/") for _, path in hub.log) == 1


@pytest.fixture
def in_table(hub, commit, saved, monkeypatch):
    """Enter REPO as pinned, released weights of NAME; return a function that changes the entry."""
    info = json.loads((saved / "config.json").read_text())["gricol_zoo"]

    def enter(**changes):
        entry = {"revision": commit, "size": info["size"], "sha256": info["sha256"], **changes}
        monkeypatch.setitem(gricol_zoo.WEIGHTS, NAME, {"test": Weights(REPO, **entry)})

    return enter


def test_pinned_weights_come_from_the_cache_then_from_the_hub(hub, in_table, expected):
    in_table()
    for requests in (COLD, PINNED):
        hub.log.clear()
        assert torch.equal(logits(create_model(f"{NAME}.test", pretrained=True)), expected)
        assert len(hub.log) == requests
    assert gricol_zoo.list_models(NAME, pretrained=True) == [f"{NAME}.test"]


IN_ANOTHER_CACHE = {
    "hf-hub": lambda cache: create_model(f"hf-hub:{REPO}", pretrained=True, cache_dir=cache),
    "hf-hub, timm": lambda cache: by_timm(f"hf-hub:{REPO}", cache_dir=cache),
    "a name": lambda cache: create_model(f"{NAME}.test", pretrained=True, cache_dir=cache),
}


@pytest.mark.parametrize("way", IN_ANOTHER_CACHE)
def test_another_cache(way, commit, in_table, tmp_path, expected):
    in_table()
    assert torch.equal(logits(IN_ANOTHER_CACHE[way](tmp_path / "cache")), expected)
    assert list((tmp_path / "cache").glob("models--*/snapshots/*/model.safetensors"))


def test_another_repository_by_an_overlay(commit, expected):
    own = {"hf_hub_id": REPO}
    assert torch.equal(logits(by_timm(NAME, pretrained_cfg_overlay=own)), expected)
    with pytest.raises(CheckpointError, match=f"{REPO} holds weights of '{NAME}', not of 'r50half'"):
        by_timm("r50half", pretrained_cfg_overlay=own)


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"size": 7}])
def test_other_weights_than_the_table_pins_are_refused_before_they_are_downloaded(hub, in_table, change):
    in_table(**change)
    with pytest.raises(CorruptWeightsError, match="describes other weights"):
        create_model(f"{NAME}.test", pretrained=True)
    assert hub.requests(ends=WEIGHTS_FILE) == 0


def test_push_and_load_again(hub, saved, expected):
    model = create_model(f"local-dir:{saved}", pretrained=True)
    with pytest.raises(NoAccessError, match="hf auth login"):
        model.push_to_hub("org/new", token="hf_wrongtoken")
    commit = model.push_to_hub("org/new", token=TOKEN, private=True)
    assert hub.repos["org/new"].refs["main"] == commit
    again = GridModel.from_pretrained("org/new", revision=commit, token=TOKEN)
    assert torch.equal(logits(again), expected)
    files = hub.repos["org/new"].commits[commit]
    assert b"library_name: gricol-zoo" in files["README.md"]
    assert model.push_to_hub("org/new", token=TOKEN) == commit  # nothing new
    hub.break_next("500", "POST", "/commit/main")
    model.info = model.info.replace(temperature=2.0)
    assert model.push_to_hub("org/new", token=TOKEN) != commit  # tried again
    hub.break_next("500", "POST", "/commit/main", 99)
    model.info = model.info.replace(temperature=3.0)
    with pytest.raises(UnreachableError, match=r"Nothing was uploaded to org/new \(revision main\)"):
        model.push_to_hub("org/new", token=TOKEN)
    hub.faults.clear()
    model.push_to_hub("org/new", token=TOKEN)
    own = hub.commit("org/new", {"README.md": b"# my own words"})
    assert model.push_to_hub("org/new", token=TOKEN) == own
    assert hub.repos["org/new"].commits[own]["README.md"] == b"# my own words"
    assert git_sha1(files["config.json"]) == git_sha1((saved / "config.json").read_bytes())


def test_every_error_is_a_mistake_the_caller_can_mend():
    assert all(issubclass(kind, GricolZooError) for kind in (HubError, CorruptWeightsError, CacheError, NoAccessError))
