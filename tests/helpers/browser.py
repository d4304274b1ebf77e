"""What the tests do on the page in a browser."""

import time
from pathlib import Path


def say(tab, words):
    """Wait until the status line contains these words."""
    tab.wait_for_function("words => document.querySelector('#status')?.innerText.includes(words)", arg=words)


def drop(tab, files, words):
    tab.set_input_files("#files input[type=file]", [str(file) for file in files])
    say(tab, words)


def fetch(tab, kind):
    with tab.expect_download() as waiting:
        tab.click(f".downloads button:text-is('{kind}')")
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def save(tab):
    """Save all work; return the zip's name and where it is."""
    with tab.expect_download() as waiting:
        tab.click("#tools .save")
    return waiting.value.suggested_filename, Path(waiting.value.path())


def middle(tab, selector):
    box = tab.locator(selector).first.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(tab, start, end):
    """Drag with the mouse from the middle of one element to that of another."""
    tab.mouse.move(*middle(tab, start))
    tab.mouse.down()
    x, y = middle(tab, end)
    tab.mouse.move(x + 8, y + 3, steps=4)
    tab.mouse.move(x, y)
    tab.mouse.up()


def wait_until(condition, seconds=30):
    for _ in range(10 * seconds):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"it has not come true in {seconds} seconds")
