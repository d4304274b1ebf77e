"""The gate in front of Gradio, with requests as from another page, a script or after a killed server."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
from filelock import FileLock

from gricol_zoo import GricolZooError
from gricol_zoo.serve import place
from gricol_zoo.serve import sessions as sessions_module
from gricol_zoo.serve.gate import API, MAX_JOINS, Gate, RefusedError, bytes_in, check_event, check_origin, check_place
from gricol_zoo.serve.model_pool import ModelPool
from gricol_zoo.serve.sessions import Sessions

HOST = "127.0.0.1:7860"
OWN = f"http://{HOST}"


def file_data(**values):
    return json.dumps({"session_hash": "abc", "data": [[{"path": "/tmp/x", "meta": {"_type": "gradio.FileData"}, **values}]]})


@pytest.mark.parametrize(
    ("headers", "front", "good"),
    [
        ({"origin": OWN}, False, True),
        ({"origin": OWN, "sec-fetch-site": "same-origin"}, False, True),
        ({}, False, True),  # no browser
        ({"sec-fetch-site": "none"}, False, True),
        ({"origin": "http://evil.example"}, False, False),
        ({"origin": "null"}, False, False),
        ({"origin": "http://127.0.0.1:1"}, False, False),
        ({"origin": "https://127.0.0.1:7860"}, False, False),
        ({"sec-fetch-site": "cross-site"}, False, False),
        ({"sec-fetch-site": "same-site"}, False, False),  # another port of this machine
        ({"sec-fetch-site": "cross-site", "origin": OWN}, False, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, True, True),  # a link
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, True, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, True, True),
        *[
            ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": frame}, True, False)
            for frame in ("iframe", "frame", "object", "embed")
        ],
    ],
)
def test_only_the_page_itself_may_ask(headers, front, good):
    if good:
        check_origin({"host": HOST, **headers}, front)
    else:
        with pytest.raises(RefusedError):
            check_origin({"host": HOST, **headers}, front)


@pytest.mark.parametrize(
    ("body", "good"),
    [
        (file_data(), True),
        (file_data(url=f"{OWN}{API}/file=/tmp/x"), True),
        (file_data(path="C:\\temp\\x.png"), True),
        (file_data(url="http://evil.example/x"), False),
        (file_data(url="//evil.example/x"), False),
        (file_data(path="http://evil.example/x"), False),
        (file_data(path=" https://evil.example/x"), False),
        (file_data(path="ftp://evil.example/x"), False),
        (file_data(path="file:///etc/passwd"), False),
        *[(file_data(path=place), False) for place in ("\\\\evil\\x", "/\\evil/x", "\\/evil/x", " \\\\evil\\x")],
        (file_data(path="http://["), False),
        (file_data(proxy_url="http://evil.example"), False),
        ("[" * 100_000, False),
        ("x", False),
        ("[]", False),
        ("{}", False),
        (json.dumps({"session_hash": "x" * 65}), False),
        (json.dumps({"session_hash": "a/b"}), False),
    ],
)
def test_an_event_names_no_file_elsewhere(body, good):
    if good:
        check_event(body.encode(), HOST)
    else:
        with pytest.raises(RefusedError):
            check_event(body.encode(), HOST)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", f"{API}/{one}") for one in ("proxy=http://evil", "file=/etc/passwd", "openapi.json", "runs", "mcp/", "deep_link")]
    + [("POST", f"{API}/{one}") for one in ("run/x", "api/x", "call/x", "call/v2/x", "stream/x", "run-history/connect")]
    + [
        ("POST", "/login"),
        ("GET", "/docs"),
        ("GET", "/assets/../config"),
        ("PUT", "/"),
        ("DELETE", "/config"),
        ("OPTIONS", "/"),
    ],
)
def test_dark_corners_are_off(method, path):
    with pytest.raises(RefusedError):
        check_place(method, path)


def through(gate, headers, after=None, path=f"{API}/upload"):
    """Send an upload through a gate; return the answer's status and headers. ``after`` runs during the upload."""
    said = {}

    async def send(message):
        said.update({key: value for key, value in message.items() if key in ("status", "headers")})

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def app(scope, receive, send):
        if after:
            await after()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    gate.app = app
    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"host", HOST.encode()), *headers]}
    return gate(scope, receive, send), said


def upload_of(size):
    return [(b"content-length", str(size).encode())]


def test_uploads_at_once_count_together(tmp_path, monkeypatch):
    monkeypatch.setattr("gricol_zoo.serve.gate.MAX_TOTAL", 1000)
    gate, second = Gate(None, tmp_path), {}

    async def another():
        run, said = through(gate, upload_of(600))
        await run
        second.update(said)

    run, said = through(gate, upload_of(600), another)
    asyncio.run(run)
    assert (said["status"], second["status"], gate.coming) == (200, 413, 0)
    run, said = through(gate, upload_of(1000))
    asyncio.run(run)
    assert said["status"] == 200


def test_an_upload_that_breaks_off_gives_its_room_back(tmp_path):
    gate = Gate(None, tmp_path)

    async def breaks():
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(through(gate, upload_of(600), breaks)[0])
    assert gate.coming == 0


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"-1")], [*upload_of(9), (b"transfer-encoding", b"chunked")]])
def test_an_upload_says_its_length(tmp_path, headers):
    run, said = through(Gate(None, tmp_path), headers)
    asyncio.run(run)
    assert said["status"] == 411


def test_no_other_page_shows_this_one_inside_of_itself(tmp_path):
    run, said = through(Gate(None, tmp_path), upload_of(1))
    asyncio.run(run)
    assert (b"x-frame-options", b"DENY") in said["headers"]


def test_a_session_that_ended_is_not_made_again(tmp_path):
    sessions = Sessions(tmp_path, ModelPool({"x": None}))
    sessions.get("a")
    sessions.end("a")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(GricolZooError, match="Reload it"):
        sessions.get("a")
    assert list(tmp_path.iterdir()) == []


def test_a_tab_that_is_loaded_again_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions_module, "GRACE", 0.05)
    sessions, token = Sessions(tmp_path, ModelPool({"x": None})), "0123456789abcdef" * 2
    first = sessions.get("a")  # a file was dropped before the page had identified its tab
    sessions.bind("a", token)
    assert sessions.get("a") is first
    sessions.leave("a")
    sessions.bind("b", token)
    time.sleep(0.3)
    assert sessions.get("b") is first
    with pytest.raises(GricolZooError, match="Reload it"):
        sessions.get("a")
    sessions.bind("c", token)  # the same tab in a second window
    sessions.leave("b")
    time.sleep(0.3)
    assert sessions.get("c") is first
    sessions.leave("c")
    for _ in range(100):
        if not list(tmp_path.iterdir()):
            break
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []
    sessions.bind("d", token)  # opened again too late: nothing is left, but the page works
    assert sessions.get("d") is not first
    with pytest.raises(GricolZooError, match="Expected the token"):
        sessions.bind("e", "../x")


def test_what_is_not_taken_is_swept(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("old", "new"):
        (tmp_path / "a" / name).write_bytes(b"x")
    os.utime(tmp_path / "a" / "old", (1, 1))
    place.sweep(tmp_path)
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["new"]
    place.sweep(tmp_path, -1)
    place.sweep(tmp_path, -1)
    assert list(tmp_path.iterdir()) == []


def test_only_dead_places_are_cleared(tmp_path, monkeypatch):
    monkeypatch.setattr(place.tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("gricol-zoo-dead", "gricol-zoo-live", "gricol-zoo-fresh", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "gricol-zoo-link").symlink_to(tmp_path / "other")
    (tmp_path / "gricol-zoo-dead" / place.LOCK).touch()
    (tmp_path / "gricol-zoo-dead" / "crop.png").touch()
    with FileLock(tmp_path / "gricol-zoo-live" / place.LOCK):
        place.clear_dead(tmp_path)
    names = {"gricol-zoo-live", "gricol-zoo-fresh", "gricol-zoo-link", "other"}
    assert {file.name for file in tmp_path.iterdir()} == names


# --- a server of its own ---


def start(folder):
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "gricol_zoo", "serve", "--port", "0", "--runtime", "torch"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder)
    line = process.stderr.readline()
    assert line.startswith("Serving on"), line
    return process, urlsplit(line.split()[2]).netloc


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("temporary")
    process, address = start(folder)
    yield address, folder, process
    process.kill()
    process.wait()
    process.stderr.close()


def ask(address, method, path, body=None, **headers):
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    status = answer.status
    connection.close()
    return status


def upload(address, data, **headers):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + data + b"\r\n--x--\r\n"
    return ask(address, "POST", f"{API}/upload", body, Content_Type="multipart/form-data; boundary=x", **headers)


def stored(folder):
    return [file for file in folder.rglob("*.png") if file.is_file()]


@pytest.mark.slow
def test_a_foreign_upload_is_not_stored(server):
    address, folder, _ = server
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
        assert upload(address, b"x" * 1000, **headers) == 403
    assert stored(folder) == []
    assert ask(address, "POST", f"{API}/upload", b"", Content_Length=str(1 << 40), Origin=f"http://{address}") == 413
    assert upload(address, b"x" * 1000, Origin=f"http://{address}") == 200
    assert len(stored(folder)) == 1


@pytest.mark.slow
def test_the_page_still_loads_and_corners_do_not(server):
    address, _, _ = server
    assert ask(address, "GET", "/") == 200
    assert ask(address, "GET", "/config") == 200
    for path in (f"{API}/file=/etc/passwd", f"{API}/proxy=http://x", f"{API}/openapi.json", "/docs", f"{API}/runs"):
        assert ask(address, "GET", path) == 404
    assert ask(address, "POST", f"{API}/run/take", b"{}") == 404


@pytest.mark.slow
def test_joins_are_bounded(server):
    address, _, _ = server
    body = json.dumps({"session_hash": "s", "fn_index": 0, "data": [[]]})
    statuses = [ask(address, "POST", f"{API}/queue/join", body, Content_Type="application/json") for _ in range(MAX_JOINS + 5)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert ask(address, "POST", f"{API}/queue/join", file_data(path="http://evil.example/x")) == 400


@pytest.mark.slow
def test_a_killed_server_leaves_nothing_for_long(tmp_path):
    process, address = start(tmp_path)
    assert upload(address, b"x" * 1000, Origin=f"http://{address}") == 200
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert bytes_in(tmp_path) >= 1000
    process, _ = start(tmp_path)
    assert stored(tmp_path) == []
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    process.stderr.close()
    for _ in range(50):
        if not list(tmp_path.iterdir()):
            break
        time.sleep(0.1)
    assert list(tmp_path.iterdir()) == []
