"""An untrustworthy server: it cannot create a path outside the cache, and it cannot keep a load waiting for ever."""

import threading
import time
import types

import huggingface_hub
import huggingface_hub.utils._http
import pytest
from helpers.models import SMALL

import gricol_zoo.weights.hub.deadline
from gricol_zoo import create_model
from gricol_zoo.errors import HubError, NotOnHubError, UnreachableError
from gricol_zoo.weights.hub.deadline import within

NAME = "r18half_128"
REPO = "org/zoo"
OUT = "../../../../outside"
ETAGS = [
    OUT,
    f'W/"{OUT}"',
    "/tmp/outside",
    "..\\..\\outside",
    "0" * 39,
    "g" * 40,
    "A" * 64,
    "0" * 32,
    "x.incomplete",
    "%2e%2e/x",
]


@pytest.fixture
def commit(hub, tmp_path):
    create_model(NAME, **SMALL).save_pretrained(tmp_path / "saved")
    return hub.commit(REPO, {file.name: file.read_bytes() for file in (tmp_path / "saved").iterdir()})


def load(revision=""):
    return create_model(f"hf-hub:{REPO}{revision}", pretrained=True)


def by_timm(revision=""):
    import timm

    import gricol_zoo.timm_bridge  # noqa: F401

    return timm.create_model(f"hf-hub:{REPO}{revision}", pretrained=True)


def files_in(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_relative_to(folder / "saved"))


def headers(etag):
    return {"ETag": f'"{etag}"', "X-Linked-Etag": f'"{etag}"'}


@pytest.mark.parametrize("door", [load, by_timm])
@pytest.mark.parametrize("first", [0, 1], ids=["asked", "then downloaded"])
@pytest.mark.parametrize("etag", ETAGS)
def test_an_etag_that_is_no_hash_makes_no_file(hub, commit, tmp_path, etag, first, door):
    hub.break_next(lambda: None, "HEAD", "config.json", first)
    hub.break_next(headers(etag), "HEAD", "config.json", 99)
    with pytest.raises(HubError, match="ETag of 40 or 64 hex digits"):
        door()
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("first", [0, 1])
def test_an_etag_of_weights_that_is_no_hash(hub, commit, tmp_path, first):
    create_model(f"hf-hub:{REPO}")
    before = files_in(tmp_path)
    hub.break_next(lambda: None, "HEAD", "model.safetensors", first)
    hub.break_next(headers(OUT), "HEAD", "model.safetensors", 99)
    with pytest.raises(HubError, match="ETag of 40 or 64 hex digits"):
        load()
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(
    "answer",
    [{"X-Repo-Commit": OUT}, {"X-Repo-Commit": OUT, "status": "404"}, {"X-Xet-Hash": OUT}],
    ids=["commit", "commit of what is missing", "xet"],
)
def test_other_headers_that_become_paths(hub, commit, tmp_path, answer, first):
    hub.break_next(lambda: None, "HEAD", "config.json", first)
    hub.break_next(answer, "HEAD", "config.json", 99)
    with pytest.raises(HubError, match="hex digits"):
        load()
    assert files_in(tmp_path) == []


ODD = {  # answers that the client takes as the file itself, although they look like redirects
    "304": {"status": "304"},
    "300": {"status": "300", "Location": "elsewhere"},
    "302 without a place": {"status": "302"},
    "302 to another scheme": {"status": "302", "Location": "ftp:x"},
    "302 to the same scheme": {"status": "302", "Location": "http:x"},
    "307 to another host": {"status": "307", "Location": "//localhost/x"},
    "307 to this host": {"status": "307", "Location": "http://127.0.0.1/x"},
}


@pytest.mark.parametrize("first", [0, 1], ids=["asked", "then downloaded"])
@pytest.mark.parametrize("odd", ODD)
def test_an_etag_of_an_odd_redirect_makes_no_file(hub, commit, tmp_path, odd, first):
    hub.break_next(lambda: None, "HEAD", "config.json", first)
    hub.break_next({**headers(OUT), **ODD[odd]}, "HEAD", "config.json", 99)
    with pytest.raises(HubError, match="ETag of 40 or 64 hex digits"):
        load()
    assert files_in(tmp_path) == []


def test_a_redirect_within_the_hub_is_followed(hub, commit):
    moved = {"status": "307", "Location": f"/{REPO}/resolve/main/config.json?again", **headers("of the redirect")}
    hub.break_next(moved, "HEAD", "config.json", 1)
    assert load().num_classes == 24


@pytest.mark.parametrize("door", [load, by_timm])
@pytest.mark.parametrize(
    "revision", ["../../../outside", "a/../../../../outside", "/outside", "a\\..\\b", "C:x", "a b", "\x1b[2J"]
)
def test_a_revision_that_is_a_path_makes_no_file(hub, commit, tmp_path, revision, door):
    first, _, rest = f"{revision}/config.json".partition("/")
    hub.repos[REPO].commits[commit][rest] = hub.repos[REPO].commits[commit]["config.json"]
    hub.repos[REPO].tags[first] = commit  # the server says that there is such a revision
    before = files_in(tmp_path.parent)
    with pytest.raises(NotOnHubError, match="cannot have a revision") as caught:
        door(f"@{revision}")
    assert str(caught.value).isprintable()
    assert files_in(tmp_path.parent) == before


def test_what_a_server_says_is_written_out(hub, commit):
    hub.break_next({"status": "400", "X-Error-Message": "a\x9b2Jb"}, "HEAD", "config.json", 99)
    with pytest.raises(HubError) as caught:
        load()
    assert str(caught.value).isprintable()


def test_the_guard_outlives_a_session_that_is_closed(hub, commit, tmp_path):
    hub.break_next(huggingface_hub.close_session, "HEAD", "config.json")
    hub.break_next(headers(OUT), "HEAD", "config.json", 99)
    with pytest.raises(HubError, match="ETag"):
        load()
    assert files_in(tmp_path) == []


def test_others_may_have_other_etags(hub, tmp_path):
    load_others = huggingface_hub.hf_hub_download
    hub.commit("org/other", {"note.txt": b"hello"})
    hub.break_next(headers("abc-12"), "HEAD", "note.txt", 99)
    assert load_others("org/other", "note.txt", cache_dir=tmp_path / "cache").endswith("note.txt")


def await_downloads():
    """Wait for the threads that a load has left running; they must end."""
    for thread in threading.enumerate():
        if thread.name == "gricol-zoo download":
            thread.join(30)
            assert not thread.is_alive()


@pytest.mark.parametrize("wait", [{"Retry-After": "100000"}, {"RateLimit": '"api";r=0;t=100000'}])
def test_a_server_does_not_say_for_how_long_the_cache_is_locked(hub, commit, monkeypatch, wait):
    waited = []  # with the lock in the client's hand
    clock = types.SimpleNamespace(**{**vars(time), "sleep": waited.append})
    monkeypatch.setattr(huggingface_hub.utils._http, "time", clock)
    hub.break_next({"status": "429", **wait}, "GET", "config.json", 99)
    with pytest.raises(HubError):
        load()
    assert 0 < max(waited) < 60


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("door", [load, by_timm])
def test_a_drip_ends(hub, commit, monkeypatch, method, file, door):
    monkeypatch.setattr(gricol_zoo.weights.hub.deadline, "MIN_SECONDS", 1.0)
    monkeypatch.setattr(gricol_zoo.weights.hub.deadline, "RATE", 10e6)
    hub.break_next("drip", method, file, 99)
    start = time.monotonic()
    with pytest.raises(UnreachableError, match=f"{file} of org/zoo .* did not come within"):
        door()
    assert time.monotonic() - start < 8
    hub.faults.clear()
    await_downloads()
    door()


def test_a_limit_passes_on_results_and_errors():
    assert within(5, lambda: 7) == 7
    with pytest.raises(KeyError):
        within(5, lambda: {}["x"])
    with pytest.raises(TimeoutError):
        within(0.05, lambda: time.sleep(0.3))
