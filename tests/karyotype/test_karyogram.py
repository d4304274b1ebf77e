"""The geometry of karyograms of six kinds of cells: scale, centromere line, no overlap, nothing outside the page."""

import dataclasses
import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageFont

from gricol_zoo.commands.straight import straightened
from gricol_zoo.data.synthetic import Look, load_profiles, render, render_cell
from gricol_zoo.karyotype.centromere import find_centromere, index_of, waists
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.draw import DPI, to_image, to_png, to_svg
from gricol_zoo.karyotype.layout import lay_out
from gricol_zoo.karyotype.pictures import BLANK, draw_chromosomes, trimmed, without_crumbs
from gricol_zoo.karyotype.placing import PAGE, ROWS
from gricol_zoo.karyotype.shapes import Bar, Picture, Text, shortened
from gricol_zoo.spec import CHROMOSOMES

ZOOM = 2


def cell_of(crops, **about):
    """A karyotype and its grey images, from (class, grey) pairs; the class "" is unassigned."""
    items = [
        Chromosome(
            n, f"{n}.png", "", {label: 1.0} if label else {"1": 1.0}, label or "1", label, label, 0.999 if label else 0.6
        )
        for n, (label, _) in enumerate(crops, 1)
    ]
    about = {"model": {"name": "r18half_192.qband", "weights_sha256": "ab" * 32}, "time": "2026-01-31T00:00:00Z", **about}
    return Karyotype("cell 7", items, CHROMOSOMES, case="case 3", **about), {n: grey for n, (_, grey) in enumerate(crops, 1)}


def crops_of(seed=3, **look):
    return [(label, grey) for label, _, grey in render_cell(seed, sex="M", **look)]


def chromosome(label, **look):
    return render(load_profiles()[label], Look(**look), np.random.default_rng(0))


def with_crumbs(grey):
    """A crop with specks beside the chromosome, which preparation takes as parts of it."""
    grey = np.pad(grey, 4)
    grey[6:9, 3:5] = grey[-8:-6, -5:-3] = 0.4
    return grey


CELLS = {
    "Q": lambda: cell_of(crops_of()),
    "G": lambda: cell_of([(label, 1 - grey) for label, grey in crops_of(4)], model={"name": "r18half_192.pki3"}),
    "bent": lambda: cell_of(crops_of(5, bend=170.0)),
    "aneuploid": lambda: cell_of([*crops_of(6)[1:], ("21", crops_of(7)[41][1]), ("", crops_of(8)[30][1])]),
    "crumbs": lambda: cell_of([(label, with_crumbs(grey)) for label, grey in crops_of(9)]),
    "92": lambda: cell_of(crops_of(10) + crops_of(11)),
}


@pytest.fixture(scope="module", params=CELLS)
def drawn(request):
    karyotype, greys = CELLS[request.param]()
    pictures = draw_chromosomes(karyotype, greys, ZOOM)
    return karyotype, pictures, lay_out(karyotype, pictures, ZOOM)


def drawn_width(words, size):
    """The width at which Pillow draws words, in units."""
    return ImageFont.load_default(size * ZOOM).getlength(words) / ZOOM


def apart(one, other):
    (x, y, width, height), (x2, y2, width2, height2) = one, other
    return x + width <= x2 + 1e-6 or x2 + width2 <= x + 1e-6 or y + height <= y2 + 1e-6 or y2 + height2 <= y + 1e-6


def places(sheet):
    """The box of each picture and of each line of words, as drawn."""
    for shape in sheet.shapes:
        if isinstance(shape, Picture):
            height, width = (side / ZOOM for side in shape.pixels.shape)
            yield shape.x - width / 2, shape.y - height, width, height
        elif isinstance(shape, Bar):
            yield shape.x, shape.y, shape.width, shape.height
        else:
            width = drawn_width(shape.words, shape.size)
            yield shape.x - width * (shape.anchor == "middle") / 2, shape.y - shape.size, width, shape.size * 1.2


def test_nothing_overlaps(drawn):
    _, _, sheet = drawn
    assert all(apart(one, other) for one, other in combinations(sheet.boxes.values(), 2))


def test_nothing_is_outside_of_the_page(drawn):
    karyotype, _, sheet = drawn
    for x, y, width, height in places(sheet):
        assert 0 <= x < x + width <= sheet.width
        assert 0 <= y < y + height <= sheet.height
    assert sheet.width <= PAGE + 30
    assert sorted(sheet.boxes) == [item.id for item in karyotype.chromosomes]


def test_a_picture_is_inside_of_its_box(drawn):
    _, _, sheet = drawn
    for shape in sheet.shapes:
        if isinstance(shape, Picture):
            x, y, width, height = sheet.boxes[shape.id]
            assert x <= shape.x - shape.pixels.shape[1] / ZOOM / 2
            assert shape.x + shape.pixels.shape[1] / ZOOM / 2 <= x + width
            assert y <= shape.y - shape.pixels.shape[0] / ZOOM + 1e-6
            assert shape.y <= y + height


def test_centromeres_are_on_one_line(drawn):
    """Measured on the pixels: the position of each picture on the sheet, and of the centromere in it."""
    karyotype, _, sheet = drawn
    level = {}
    for shape in sheet.shapes:
        if isinstance(shape, Picture) and (label := karyotype.find(shape.id).assigned):
            row = find_centromere(shape.pixels, label) + 0.5
            level.setdefault(label, []).append(shape.y - (len(shape.pixels) - row) / ZOOM)
    assert level
    for label, found in level.items():
        lines = {round(y, 6) for y in found}
        # Homologues of a class are on one line of the sheet, or on as many lines as the class fills.
        assert len(lines) == 1, (label, lines)


def test_each_class_has_a_place_for_its_chromosomes(drawn):
    karyotype, _, sheet = drawn
    assert list(sheet.places) == list(CHROMOSOMES)
    assert all(apart(one, other) for one, other in combinations(sheet.places.values(), 2))
    for item in karyotype.chromosomes:
        if item.assigned:
            x, y, width, height = sheet.boxes[item.id]
            left, top, across, down = sheet.places[item.assigned]
            assert left <= x + 1e-6
            assert x + width <= left + across + 1e-6
            assert top <= y + 1e-6
            assert y + height <= top + down


def test_a_row_has_one_line():
    karyotype, greys = CELLS["Q"]()
    level = lay_out(karyotype, draw_chromosomes(karyotype, greys, ZOOM), ZOOM).centromeres
    for row in ROWS:
        inside = [label for _, labels in row for label in labels]
        assert len({level[item.id] for item in karyotype.chromosomes if item.assigned in inside}) == 1


def test_one_scale_for_the_sheet():
    """The same chromosome, twice as large in its crop, is drawn twice as large, whatever is beside it."""
    small, large = (chromosome("8", scale=scale) for scale in (1.0, 2.0))
    wide = chromosome("1", bend=170.0, scale=1.6)
    karyotype, greys = cell_of([("8", small), ("8", large), ("1", wide)])
    heights = {id: len(picture) for id, picture in draw_chromosomes(karyotype, greys, ZOOM).items()}
    assert heights[2] / heights[1] == pytest.approx(2, abs=0.15)


def test_one_contrast_for_the_cell():
    crops = [("8", chromosome("8", gain=gain)) for gain in (0.8, 0.4)]
    karyotype, greys = cell_of(crops)
    dark, faint = (255 - int(picture.min()) for picture in draw_chromosomes(karyotype, greys).values())
    assert faint / dark == pytest.approx(0.5, abs=0.1)


def test_a_hardly_visible_one_is_still_seen():
    crops = [("8", chromosome("8", gain=gain)) for gain in (0.9, 0.9, 0.05)]
    karyotype, greys = cell_of(crops)
    assert draw_chromosomes(karyotype, greys)[3].min() < 210


@pytest.mark.parametrize("turn", [0, 30, 90])
def test_nothing_of_a_chromosome_is_cut_off(turn):
    """As much of it is drawn as a larger frame would hold."""
    from scipy import ndimage

    grey = ndimage.rotate(chromosome("3", bend=100.0), turn, order=1)
    karyotype, greys = cell_of([("3", np.float32(grey))])
    (picture,) = draw_chromosomes(karyotype, greys, ZOOM).values()
    assert (picture[[0, -1]] > BLANK).all()
    assert (picture[:, [0, -1]] > BLANK).all()
    scale = (255.0 - picture).sum() / grey.sum()
    (wider,) = draw_chromosomes(karyotype, {1: np.float32(np.pad(grey, 20))}, ZOOM).values()
    assert (255.0 - wider).sum() / grey.sum() == pytest.approx(scale, rel=0.02)


def test_crumbs_are_not_drawn_and_satellites_are():
    picture = np.full((60, 30), 255, np.uint8)
    picture[10:50, 10:20] = 40
    picture[4:6, 4:6] = 40  # 1 percent
    picture[56, 14:16] = 40  # half of it
    shown = without_crumbs(picture)
    assert (shown[4:6, 4:6] == 40).all()
    assert (shown[56] == 255).all()
    assert trimmed(shown).shape == (48, 18)


def test_a_centromere_is_found_by_waist_and_class():
    """A made-up chromosome with two waists: the class tells which one it is."""
    picture = np.full((100, 40), 255, np.uint8)
    for y in range(5, 95):
        half = 10 - 6 * (abs(y - 29) < 3) - 7 * (abs(y - 50) < 3)
        picture[y, 20 - half : 20 + half] = 60
    assert find_centromere(picture, "4") == pytest.approx(29, abs=2)  # 0.26 of 90
    assert find_centromere(picture, "1") == pytest.approx(50, abs=2)
    assert find_centromere(picture, "") is None
    assert find_centromere(np.full((9, 9), 255, np.uint8), "1") is None
    first, waist = waists(picture)
    assert (first, len(waist)) == (5, 90)
    assert all(0.1 < index_of(label) < 0.55 for label in CHROMOSOMES)


def test_a_strongly_bent_one_is_straightened_on_request():
    karyotype, greys = cell_of([("1", chromosome("1", bend=170.0)), ("8", chromosome("8"))])
    bent, straight = (draw_chromosomes(karyotype, greys, ZOOM, flag) for flag in (None, straightened))
    assert straight[1].shape[0] > 1.2 * bent[1].shape[0]
    assert straight[1].shape[1] < 0.7 * bent[1].shape[1]
    np.testing.assert_array_equal(straight[2], bent[2])
    blank = np.full((5, 5), 255, np.uint8)
    assert straightened(blank) is blank


def test_the_unassigned_stand_after_the_sex_chromosomes():
    karyotype, greys = CELLS["aneuploid"]()
    sheet = lay_out(karyotype, draw_chromosomes(karyotype, greys, ZOOM), ZOOM)
    loose = karyotype.chromosomes[-1].id
    assert sheet.boxes[loose][1] > max(y for id, (_, y, _, _) in sheet.boxes.items() if id != loose)
    assert loose not in sheet.centromeres  # no class, so it is aligned by its length
    names = [shape for shape in sheet.shapes if isinstance(shape, Text) and shape.words.startswith("unassigned, markers")]
    assert len(names) == 1
    assert names[0].y > sheet.boxes[loose][1]


def test_a_cell_without_a_row():
    """Without a chromosome of group C: its names are still there, and nothing of the next row is in its place."""
    karyotype, greys = cell_of([("1", crops_of()[0][1]), ("13", crops_of()[24][1])])
    sheet = lay_out(karyotype, draw_chromosomes(karyotype, greys, ZOOM), ZOOM)
    named = {shape.words.split()[0]: shape.y for shape in sheet.shapes if isinstance(shape, Text) and shape.anchor == "middle"}
    assert named["1"] < named["6"] == named["12"] < sheet.boxes[2][1]


def test_the_heading_says_what_a_signature_needs():
    karyotype, greys = CELLS["Q"]()
    pictures = draw_chromosomes(karyotype, greys, ZOOM)

    def words(**about):
        return [shape.words for shape in lay_out(karyotype, pictures, ZOOM, **about).shapes if isinstance(shape, Text)]

    assert words()[1] == "Case case 3 · Cell cell 7 · Q-bands · 2026-01-31 · 46 images"
    assert words()[2].startswith("Weights r18half_192.qband (sha256 abababababab) · Checked by: ____")
    assert words(checked="AB, 2026-02-01")[2].endswith("Checked by: AB, 2026-02-01")
    assert not any("Weights" in line for line in words(bare=True))


def test_long_karyotypes_and_names_fit():
    karyotype, greys = CELLS["Q"]()
    moved = karyotype
    for item in karyotype.chromosomes[:12:2]:
        moved = moved.move(item.id, "21")
    moved = dataclasses.replace(moved, cell="x" * 300, warnings=["x" * 300, "a " * 200])
    sheet = lay_out(moved, draw_chromosomes(moved, greys, ZOOM), ZOOM)
    assert max(x + width for x, _, width, _ in places(sheet)) <= sheet.width <= PAGE + 30
    title = [shape.words for shape in sheet.shapes if isinstance(shape, Text) and shape.size in (16, 24)]
    assert "".join(title).startswith("not reliable: 46,")  # in full
    assert "".join(title).endswith("(draft)")
    assert shortened("WWWW", 10, 18) == "WW…" or len(shortened("WWWW", 10, 18)) < 4


def test_print_and_bright_on_black():
    karyotype, greys = CELLS["Q"]()
    sheet = lay_out(karyotype, draw_chromosomes(karyotype, greys, ZOOM), ZOOM)
    with Image.open(io.BytesIO(to_png(sheet, ZOOM))) as image:
        assert [round(value) for value in image.info["dpi"]] == [DPI, DPI]
    plain, bright = (np.asarray(to_image(sheet, ZOOM, flag).convert("L")) for flag in (False, True))
    assert plain.shape == bright.shape
    assert np.median(plain) == 255
    assert np.median(bright) == 0
    picture = next(shape for shape in sheet.shapes if isinstance(shape, Picture))
    x, y = round(picture.x * ZOOM), round(picture.y * ZOOM) - len(picture.pixels) // 2
    assert int(plain[y, x]) + int(bright[y, x]) == 255
    assert 'fill="black"' in to_svg(sheet, ZOOM, True) or 'fill="#000000"' in to_svg(sheet, ZOOM, True)
