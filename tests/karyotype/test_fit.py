"""Which model fits a cell best, with made-up models."""

import numpy as np
import pytest

from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import ImageError
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.karyotype import fit
from gricol_zoo.models.calibration import Calibration

GREYS = {id: np.full((4, 4), id / 100, np.float32) for id in range(1, 41)}


def model(name, sure, asked=None):
    """A classifier of two classes whose larger logit sets how certain it is."""

    def prepare(grey, factor):
        if asked is not None:
            asked.append((float(grey[0, 0]), factor))
        if grey[0, 0] == np.float32(0.01):
            raise ImageError("nothing there")
        return grey

    def answer(prepared, _):
        return np.tile([np.log(sure), np.log(1 - sure)], (len(prepared), 1)), None

    return Classifier(name, "00", "", "fp32", ("1", "2"), prepare, answer, calibration=Calibration(1.0))


def test_the_surest_fits_best_and_a_sample_is_enough():
    asked = []
    found = fit.fits([model("a.qband", 0.8, asked), model("b.pki3", 0.95)], GREYS, "none")
    assert found == {"a.qband": pytest.approx(0.8), "b.pki3": pytest.approx(0.95)}
    assert fit.best(found) == "b.pki3"
    assert 10 <= len(asked) <= fit.SAMPLE
    assert {factor for _, factor in asked} == {1.0}


def test_the_first_of_equals_and_one_alone_is_not_asked():
    assert fit.best({"a": 0.9, "b": 0.9}) == "a"
    nobody = model("a", 0.8)._replace(prepare=None)
    assert fit.choose([nobody], ImageSet("cell", [Record("a.png")], None)) == (nobody, {})
