"""The table of bands, and the drawings made from it."""

from xml.etree import ElementTree

import pytest

from gricol_zoo.karyotype.ideogram import SHADES, ideograms, to_svg
from gricol_zoo.spec import CHROMOSOMES


def test_each_class_has_its_arms_and_bands():
    table = ideograms()
    assert list(table) == list(CHROMOSOMES)
    for label, one in table.items():
        centromere = [band for band in one.bands if band.stain == "acen"]
        assert len(centromere) == 2, label
        assert centromere[0].end == one.centromere == centromere[1].start
        for band in one.bands:
            assert 0 <= band.start < band.end <= one.length + 0.05, (label, band)
            assert band.stain in SHADES or band.stain == "acen"
            assert (band.name[0] == "p") == (band.end <= one.centromere), (label, band)


def test_the_table_has_the_shapes_that_everybody_knows():
    table = ideograms()
    lengths = [table[str(number)].length for number in range(1, 23)]
    assert lengths[0] == max(lengths)
    assert lengths[20] == min(lengths)  # 21 is shorter than 22
    ratio = {label: one.centromere / one.length for label, one in table.items()}
    assert all(ratio[label] < 0.3 for label in ("13", "14", "15", "21", "22"))  # acrocentric
    assert all(0.39 < ratio[label] < 0.51 for label in ("1", "3", "16", "19", "20"))  # metacentric


@pytest.mark.parametrize("label", CHROMOSOMES)
def test_the_drawing_is_an_svg_of_its_length(label):
    root = ElementTree.fromstring(to_svg(label, 150))
    assert float(root.get("height")) == 152
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert -0.1 <= float(rect.get("y")) <= float(rect.get("y")) + float(rect.get("height")) <= 150.2


def test_a_class_of_another_kind_has_none():
    assert to_svg("<b>", 100) == ""
