"""Fixtures: a real browser and the real command."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from helpers.browser import wait_until

FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update"
# A closed tab is forgotten sooner than in normal use, so that a test can wait for it.
# What a shell script starts in the background ignores SIGINT, and so does all that it starts.
START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "import gricol_zoo.serve.sessions as s; s.GRACE = 10.0; from gricol_zoo.cli import main; raise SystemExit(main())"
)
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser():
    """The path of Chromium. Without one, tests that use it are skipped, or fail if GRICOL_ZOO_NEED_BROWSER is set."""
    found = os.environ.get("GRICOL_ZOO_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("GRICOL_ZOO_NEED_BROWSER"):
        pytest.fail("Chromium was not found, and GRICOL_ZOO_NEED_BROWSER is set: install it, or set GRICOL_ZOO_CHROMIUM")
    if found is None:
        pytest.skip("Chromium was not found: install it, or set GRICOL_ZOO_CHROMIUM")
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The real command in a process of its own: its address, and the folder that it may write to."""
    tmp_path = tmp_path_factory.mktemp("server")
    places = {name: tmp_path / name for name in ("home", "temporary")}
    for place in places.values():
        place.mkdir()
    changes = {"HOME": str(places["home"]), "TMPDIR": str(places["temporary"]), "GRADIO_SHARE": "True"}
    environment = {**os.environ, **changes, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("MPLCONFIGDIR", None)
    command = [sys.executable, "-X", "faulthandler", "-c", START, "serve", "--port", "0", "--runtime", "torch"]
    told = tmp_path / "stderr"  # a pipe that nobody reads would stop the server once it is full
    with told.open("w") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env=environment, cwd=tmp_path)
    try:
        wait_until(lambda: told.read_text().endswith("\n") or process.poll() is not None, 120)
        line, *_ = [*told.read_text().splitlines(), ""]
        assert line.startswith("Serving on http://127.0.0.1:"), told.read_text()
        yield line.split()[2], places["temporary"]
        process.send_signal(signal.SIGINT)
        code = exit_code(process)
        assert (code, told.read_text().splitlines()[1:]) == (0, ["stopped"])
        assert not list(places["temporary"].iterdir()), "an upload outlived the server"
        assert not list(places["home"].rglob("*")), "something was written outside the temporary folder"
    finally:
        process.kill()
        process.wait()


def exit_code(process):
    """Wait up to 60 s for a process that was told to stop; one that hangs prints where its threads are and is aborted."""
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        return process.wait(10)


@pytest.fixture
def page(browser, server):
    """A page of a headless Chromium that shows the server, and the addresses that it requests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=browser, args=FLAGS.split())
        context = running.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        asked = []
        context.on("request", lambda request: asked.append(request.url))
        tab.goto(server[0])
        tab.wait_for_selector("#files input[type=file]", state="attached")
        yield tab, asked
        running.close()
