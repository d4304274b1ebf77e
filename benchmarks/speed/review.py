"""How many actions, and how much waiting, from a real cell's upload to its signed report, by mouse and by keyboard alone?

    pip install '.[test]'        # and a Chromium; set GRICOL_ZOO_CHROMIUM to its path if it is not on the PATH
    python -m benchmarks.speed.review --data FOLDER [--cells q010 ...] [--pictures FOLDER]

The real command, a real headless browser, cells of the test parts. A simulated reviewer who knows the labels goes through what
is in doubt: confirms what is right, moves what is wrong, enters initials, checks the cell and saves. The saved files are then
verified with the key that signed them, and reported. Clicks, drags and keys are counted; "beyond the doubts" are those for
drop, run, initials, check and save. Seconds are the page's, without a person's time to think. Writes results/speed/review.csv;
``--pictures`` saves screenshots of the page at 1280x800 and 1920x1080, light and dark.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from benchmarks.common.record import write
from benchmarks.common.sets import FILES, NAMES, open_part
from benchmarks.make.page import BROWSERS, FLAGS
from benchmarks.speed.karyotype_speed import pack
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.table import ImageSet
from gricol_zoo.karyotype.run import cells_of

CELLS = ("q010", "q024", "p97002122.6", "p97002202.16", "p97002553.17")  # the last two have 45 and 47 chromosomes
SIZES = ((1280, 800), (1920, 1080))
FIXED = 5  # drop, run, initials, check, save
COLUMNS = {
    "set": ("cell from", ""),
    "cell": ("cell", ""),
    "way": ("by", ""),
    "doubtful": ("in doubt", "d"),
    "moved": ("of these moved", "d"),
    "actions": ("actions", "d"),
    "beyond": ("beyond the doubts", "d"),
    "karyogram": ("s from drop to karyogram", ".1f"),
    "seconds": ("s in all", ".1f"),
    "verified": ("signature, report and verify", ""),
}


class Reviewer:
    """Works on a browser tab as a person does, and counts the actions.

    Args:
        tab: a page of Playwright.
        labels: the true class of each chromosome, by number.
    """

    def __init__(self, tab: Any, labels: dict[int, str]) -> None:
        self.tab, self.labels = tab, labels
        self.actions = self.moved = self.doubtful = 0

    def told(self, words: str) -> None:
        """Wait until the status line contains these words."""
        self.tab.wait_for_function("words => document.querySelector('#status')?.innerText.includes(words)", arg=words)

    def press(self, key: str) -> None:
        """Press a key."""
        self.actions += 1
        self.tab.keyboard.press(key)

    def click(self, selector: str) -> None:
        """Click on the first element that a selector finds."""
        self.actions += 1
        self.tab.locator(selector).first.click()

    def settle(self, pick: Callable[[], int], act: Callable[[int, str], None]) -> None:
        """Confirm or move one chromosome after another, as ``pick`` chooses them, until nothing is in doubt."""
        while left := self.tab.locator(".doubt").count():
            id = pick()
            self.doubtful += 1
            wrong = self.tab.get_attribute(f".hit[data-id='{id}']", "data-label") != self.labels[id]
            self.moved += wrong
            act(id, self.labels[id] if wrong else "")
            self.tab.wait_for_function("left => document.querySelectorAll('.doubt').length < left", arg=left)

    def first(self) -> int:
        """Return the number of the least certain chromosome."""
        return int(self.tab.locator(".doubt").first.get_attribute("data-id"))

    def next(self) -> int:
        """Go to the next doubtful chromosome by keyboard; return its number."""
        self.press("n")
        return int(self.tab.get_attribute(".hit.chosen", "data-id"))

    def by_mouse(self, id: int, label: str) -> None:
        """Confirm a chromosome, or drag it to its class."""
        if not label:
            self.click(f".doubt[data-id='{id}']")
            self.click("[data-do=confirm]")
            return
        self.actions += 1
        self.tab.locator(f".hit[data-id='{id}']").scroll_into_view_if_needed()
        start = self.tab.locator(f".hit[data-id='{id}']").bounding_box()
        end = self.tab.locator(f".place[data-label='{label}']").bounding_box()
        self.tab.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
        self.tab.mouse.down()
        # Drop it on the name below the pictures: on a picture it would be a swap.
        self.tab.mouse.move(end["x"] + 20, end["y"] + end["height"] - 14, steps=5)
        self.tab.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] - 12)
        self.tab.mouse.up()

    def by_keyboard(self, id: int, label: str) -> None:
        """Confirm the chosen chromosome, or type its class."""
        for key in [*label, "Enter"] if label in ("1", "2") else list(label) or ["Enter"]:  # 1 may become 10
            self.press(key)


def review(tab: Any, way: str, source: Path, labels: dict[int, str], saved: Path) -> dict[str, Any]:
    """Take one cell from upload to its saved files; return the actions and seconds that it took."""
    person = Reviewer(tab, labels)
    started = time.perf_counter()
    tab.set_input_files("#files input[type=file]", str(source))
    person.told("images of")
    if way == "mouse":
        person.click("#run")
    else:
        tab.focus("#run")
        person.press("Enter")
    tab.wait_for_selector("#draft")
    shown = time.perf_counter() - started
    tab.evaluate("document.activeElement.blur()")
    ways = {"mouse": (person.first, person.by_mouse), "keyboard": (person.next, person.by_keyboard)}
    person.settle(*ways[way])
    tab.fill("#by input, #by textarea", "AB")
    tab.evaluate("document.activeElement.blur()")
    if way == "mouse":
        person.click("[data-do=check]")
    else:
        person.press("Control+Enter")
    person.told("Checked by AB.")
    with tab.expect_download() as waiting:
        if way == "mouse":
            person.click("#tools .save")
        else:
            person.press("Control+s")
    shutil.copy(waiting.value.path(), saved)
    actions = person.actions + 2  # the drop and the initials
    return {
        "way": way,
        "doubtful": person.doubtful,
        "moved": person.moved,
        "actions": actions,
        "beyond": FIXED,
        "karyogram": shown,
        "seconds": time.perf_counter() - started,
    }


def proved(saved: Path, images: Path, key: Path) -> str:
    """Verify and report what was saved; return "passed", or the command that failed with its message."""
    folder = saved.with_suffix("")
    with zipfile.ZipFile(saved) as archive:
        archive.extractall(folder)
    record = next(folder.rglob("karyotype.json"))
    for command in (["verify", record, "--images", images, "--signed-by", f"{key}.pub"], ["report", folder]):
        done = subprocess.run([sys.executable, "-m", "gricol_zoo", *map(str, command)], capture_output=True, text=True)
        if done.returncode:
            return f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}"
    return "passed"


def photograph(tab: Any, out: Path, name: str) -> None:
    """Save a screenshot of the page at each size."""
    out.mkdir(parents=True, exist_ok=True)
    for width, height in SIZES:
        tab.set_viewport_size({"width": width, "height": height})
        tab.wait_for_timeout(700)
        tab.screenshot(path=str(out / f"{name}.{width}x{height}.png"))


def look(running: Any, address: str, source: Path, out: Path) -> None:
    """Photograph the empty page, the upload, the karyogram and a chosen chromosome, light and dark."""
    for scheme in ("light", "dark"):
        tab = running.new_page(color_scheme=scheme)
        tab.set_default_timeout(120_000)
        tab.goto(address)
        tab.wait_for_selector(".empty")  # until then, dropped files are not received
        photograph(tab, out, f"{scheme}.empty")
        tab.set_input_files("#files input[type=file]", str(source))
        tab.wait_for_function("() => document.querySelector('#status')?.innerText.includes('images of')")
        tab.click("#run")
        tab.wait_for_selector("#draft")
        photograph(tab, out, f"{scheme}.karyogram")
        tab.locator(".doubt, .hit").first.click()
        tab.wait_for_selector("#probabilities")
        photograph(tab, out, f"{scheme}.chosen")
        tab.close()


def chosen_cells(data: Path, names: Collection[str]) -> list[tuple[str, str, ImageSet]]:
    """Return cells of the test parts by name: the set's tag, the cell's name and its images."""
    cells = [(tag, *pair) for tag in FILES for pair in cells_of(open_part(tag, data, "test")).items()]
    return [cell for cell in cells if cell[1] in names]


def main() -> None:
    """Start the server, review each cell both ways, verify what was saved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--cells", nargs="+", default=CELLS, metavar="NAME", help=f"test cells (default: {' '.join(CELLS)})")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="only save screenshots of the page there")
    options = parser.parse_args()
    browser = os.environ.get("GRICOL_ZOO_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), "")
    if not browser:
        raise SystemExit("Chromium was not found: install it, or set GRICOL_ZOO_CHROMIUM to its path.")
    from playwright.sync_api import sync_playwright

    from gricol_zoo.weights.ed25519 import make_keys

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_keys(root / "my.key")
        command = [
            sys.executable,
            "-m",
            "gricol_zoo",
            "serve",
            "--port",
            "0",
            "--runtime",
            "torch",
            "--key",
            str(root / "my.key"),
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server, sync_playwright() as play:
            try:
                # The message about the key comes first.
                address = next(line.split()[2] for line in server.stderr or () if line.startswith("Serving on"))
                running = play.chromium.launch(executable_path=browser, args=FLAGS)
                for tag, name, cell in chosen_cells(options.data, options.cells):
                    source = pack([(name, cell)], root / f"{name}.zip")
                    if options.pictures:
                        look(running, address, source, options.pictures / name)
                        continue
                    known = {Path(record.path).name: record.label for record in cell.records}
                    order = enumerate(open_images(source).records, 1)
                    labels = {place: known[Path(record.path).name] for place, record in order}
                    for way in ("mouse", "keyboard"):
                        tab = running.new_page(viewport={"width": 1280, "height": 800}, accept_downloads=True)
                        tab.set_default_timeout(120_000)
                        tab.goto(address)
                        tab.wait_for_selector(".empty")  # until then, dropped files are not received
                        saved = root / f"{name}.{way}.zip"
                        row = review(tab, way, source, labels, saved)
                        tab.close()
                        row["verified"] = proved(saved, source, root / "my.key")
                        rows.append({"set": NAMES[tag], "cell": name, **row})
                        print(rows[-1], flush=True)
                running.close()
            finally:
                server.send_signal(signal.SIGINT)
    if rows:
        write("speed/review", rows, COLUMNS)


if __name__ == "__main__":
    main()
