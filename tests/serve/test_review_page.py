"""A cell from upload to its check in a real browser: by mouse, by keyboard alone, after a reload, and from its saved files."""

import json
import zipfile

import pytest
from helpers.browser import drag, drop, middle, save, say, wait_until
from helpers.uploads import as_png, write_zip

from gricol_zoo.cli import main
from gricol_zoo.data.synthetic import render_cell


@pytest.fixture
def cell(tmp_path):
    crops = [as_png(image) for _, _, image in render_cell(3, sex="M")]
    return write_zip(tmp_path / "case 7.zip", {f"cell 1/{number:02d}.png": data for number, data in enumerate(crops)})


@pytest.fixture
def open_cell(page, cell):
    """A tab with the cell classified by keyboard."""
    tab, _ = page
    drop(tab, [cell], "46 images")
    tab.focus("#run")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#draft")
    return tab


def class_of(tab, id):
    return tab.get_attribute(f".hit[data-id='{id}']", "data-label")


def other_class(tab, label):
    """Return the number of a chromosome of another class."""
    return int(tab.get_attribute(f".hit:not([data-label='{label}']):not([data-label=''])", "data-id"))


@pytest.mark.slow
def test_by_mouse(open_cell, tmp_path):
    tab = open_cell
    first, other = class_of(tab, 1), other_class(tab, class_of(tab, 1))
    second = class_of(tab, other)
    drag(tab, ".hit[data-id='1']", f".hit[data-id='{other}']")  # a swap costs one drag
    say(tab, "swapped")
    assert (class_of(tab, 1), class_of(tab, other)) == (second, first)
    tab.click("[data-do=undo]")
    say(tab, "Undone")
    assert (class_of(tab, 1), class_of(tab, other)) == (first, second)
    tab.click("[data-do=redo]")
    say(tab, "Redone")
    tab.click("[data-do=undo]")
    say(tab, "Undone")
    x, y = middle(tab, ".hit[data-id='1']")
    tab.mouse.move(x, y)
    tab.mouse.down()
    box = tab.locator(".place[data-label='']").bounding_box()
    tab.mouse.move(x + 9, y + 9, steps=3)
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    assert tab.locator(".place.target").count() == 1
    tab.mouse.up()
    say(tab, "to unassigned")
    tab.click("[data-do=undo]")
    say(tab, "Undone")
    assert "correction" not in tab.inner_text("#heading")  # there and back
    tab.click("[data-do=turn]")
    say(tab, "turned upside down")
    assert "1 correction by hand" in tab.inner_text("#heading")
    while tab.locator(".doubt").count():
        number = tab.locator(".doubt").count()
        tab.locator(".doubt").first.click()
        tab.click("[data-do=confirm]")
        wait_until(lambda number=number: tab.locator(".doubt").count() < number)
    tab.fill("#by input, #by textarea", "AB")
    tab.click("[data-do=check]")
    say(tab, "Checked by AB.")
    assert "checked: AB" in tab.inner_text("#heading")
    _re_open(tab, tmp_path)


def _re_open(tab, folder):
    """Save, open again and verify; one changed byte is found."""
    _, file = save(tab)
    kept = folder / "kept.zip"
    kept.write_bytes(file.read_bytes())
    say(tab, "Saved as")
    drop(tab, [kept], "Opened as it was left")
    assert "checked: AB" in tab.inner_text("#heading")
    with zipfile.ZipFile(kept) as archive:
        data = archive.read("karyotype.json")
    record = folder / "karyotype.json"
    record.write_bytes(data)
    images = folder / "images.zip"
    with zipfile.ZipFile(kept) as archive, zipfile.ZipFile(images, "w") as out:
        for name in archive.namelist():
            if not name.endswith(".json"):
                out.writestr(name, archive.read(name))
    assert main(["verify", str(record), "--images", str(images)]) == 0
    record.write_bytes(data.replace(b'"by": "AB"', b'"by": "AC"', 1))
    assert main(["verify", str(record), "--images", str(images)]) == 1


@pytest.mark.slow
def test_by_keyboard_alone(open_cell):
    tab = open_cell
    press = tab.keyboard.press
    order = tab.eval_on_selector_all(".hit", "all => all.map(one => Number(one.dataset.id))")
    tab.evaluate("document.activeElement.blur()")
    for id in order[:3]:
        press("ArrowRight")
        assert tab.get_attribute(".hit.chosen", "data-id") == str(id)
    press("ArrowDown")
    assert tab.get_attribute(".hit.chosen", "data-id") not in map(str, order[:3])
    press("ArrowUp")
    press("ArrowLeft")
    chosen = int(tab.get_attribute(".hit.chosen", "data-id"))
    label = class_of(tab, chosen)
    press("2")
    press("1")
    say(tab, f"No. {chosen} moved: {label} to 21.")
    press("Control+z")
    say(tab, "Undone")
    press("x")
    say(tab, f"No. {chosen} moved: {label} to X.")
    press("Control+z")
    say(tab, "Undone: No. " + str(chosen) + f" moved: {label} to X.")
    press("s")  # a swap costs two keys, and the way to the other chromosome
    press("ArrowDown")
    press("s")
    say(tab, "swapped")
    press("Control+z")
    say(tab, "Undone")
    press("f")
    say(tab, "turned upside down")
    press("Control+z")
    press("Control+Shift+z")
    say(tab, "Redone")
    for _ in range(46):
        number = tab.locator(".doubt").count()
        if not number:
            break
        press("n")
        press("Enter")  # a confirmation costs one
        wait_until(lambda number=number: tab.locator(".doubt").count() < number)
    press("Control+Enter")
    say(tab, "Enter your initials first")
    tab.fill("#by input, #by textarea", "AB")
    tab.evaluate("document.activeElement.blur()")
    press("Control+Enter")
    say(tab, "Checked by AB.")


@pytest.mark.slow
def test_a_reload_loses_nothing_and_another_tab_sees_nothing(open_cell, server):
    tab = open_cell
    asked = []
    tab.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("f")
    say(tab, "turned upside down")
    tab.reload()
    tab.wait_for_selector("#draft")
    assert asked == ["beforeunload"]
    assert "1 correction by hand" in tab.inner_text("#heading")
    tab.keyboard.press("Control+z")
    say(tab, "Undone")
    other = tab.context.new_page()
    other.goto(server[0])
    other.wait_for_selector(".empty")
    assert not other.locator("#draft").count()


@pytest.mark.slow
def test_a_window_that_is_behind_changes_nothing(open_cell, server):
    tab = open_cell
    token = tab.evaluate("sessionStorage.getItem('gricol-zoo-tab')")
    twin = tab.context.new_page()
    twin.add_init_script(f"sessionStorage.setItem('gricol-zoo-tab', {json.dumps(token)})")
    twin.goto(server[0])
    twin.wait_for_selector("#draft")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("f")
    say(tab, "turned upside down")
    twin.keyboard.press("ArrowRight")
    twin.keyboard.press("f")
    say(twin, "changed in another window")
    assert "1 correction by hand" in twin.inner_text("#heading")


@pytest.mark.slow
def test_the_layout_does_not_jump_and_it_zooms(open_cell):
    tab = open_cell
    before = tab.locator("#karyogram .scroll").bounding_box()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector("#probabilities")
    assert tab.locator("#karyogram .scroll").bounding_box() == before
    wide = tab.locator("#karyogram svg").bounding_box()["width"]
    tab.click("[data-zoom='+']")
    assert tab.locator("#karyogram svg").bounding_box()["width"] == pytest.approx(1.25 * wide, rel=0.05)
    assert tab.locator("#karyogram .scroll").bounding_box() == before
    assert tab.evaluate("document.documentElement.scrollHeight <= window.innerHeight + 1")


@pytest.mark.slow
def test_two_thousand_files_are_cells_to_choose_from(page, tmp_path):
    """The page takes at most 20 cells of 100 images at once. Given more cells, it says so and keeps what it had."""
    tab, _ = page
    tab.wait_for_selector(".empty")
    crops = [as_png(image) for _, _, image in render_cell(3, sex="F")]

    def case(cells, images):
        members = {f"cell {cell:02d}/{place:03d}.png": crops[place % 46] for cell in range(cells) for place in range(images)}
        return write_zip(tmp_path / f"{cells} cells.zip", members)

    drop(tab, [case(20, 100)], "2000 images of 20 cells")
    drop(tab, [case(50, 40)], "at most 20 cells at once")
    tab.click("#run")
    tab.wait_for_selector("#draft")
    assert tab.locator(".hit").count() == 100
