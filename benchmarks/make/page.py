"""Screenshot of the browser page for the docs: the real command, a real headless browser, a synthetic cell.

    pip install '.[test]'        # and a Chromium; set GRICOL_ZOO_CHROMIUM to its path if it is not on the PATH
    python -m benchmarks.make.page

Writes docs/images/page.png. The cell is noisy, so that some chromosomes are doubtful.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common.record import ROOT
from gricol_zoo.data.synthetic import render_cell

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WIDTH, HEIGHT = 1280, 900


def write_cell(folder: Path) -> list[str]:
    """Write a synthetic cell's crops; return the paths of their files."""
    cell = render_cell(seed=2, sex="F", bend=60, noise=0.055)
    files = [folder / f"{index:02d}.png" for index in range(1, len(cell) + 1)]
    for file, (_, _, grey) in zip(files, cell, strict=True):
        Image.fromarray((grey * 255).astype(np.uint8)).save(file)
    return [str(file) for file in files]


def photograph(address: str, browser: str, files: list[str], out: Path) -> None:
    """Upload the files, classify them, choose the least certain chromosome, and save a screenshot."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=browser, args=FLAGS)
        tab = running.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.set_default_timeout(60_000)
        tab.goto(address)
        tab.wait_for_selector("#files input[type=file]", state="attached")
        tab.set_input_files("#files input[type=file]", files)
        tab.wait_for_function("() => document.querySelector('#status')?.innerText.includes('images of')")
        tab.click("#run")
        tab.click(".doubt")
        tab.wait_for_selector("#probabilities")
        tab.wait_for_timeout(1000)  # until the fade animations have ended
        tab.screenshot(path=str(out))
        running.close()


def main() -> None:
    """Start the server, take the picture, stop it."""
    browser = os.environ.get("GRICOL_ZOO_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), "")
    if not browser:
        raise SystemExit("Chromium was not found: install it, or set GRICOL_ZOO_CHROMIUM to its path.")
    command = [sys.executable, "-m", "gricol_zoo", "serve", "--port", "0", "--runtime", "torch"]
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stderr.readline() if server.stderr else ""
            photograph(line.split()[2], browser, write_cell(Path(folder)), ROOT / "docs" / "images" / "page.png")
        finally:
            server.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
