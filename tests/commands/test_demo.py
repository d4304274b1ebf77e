"""The demo with the packaged weights."""

import numpy as np
import pytest
from PIL import Image

from gricol_zoo import DEFAULT_MODEL, create_model
from gricol_zoo.commands.demo_cell import classify_cell, demo
from gricol_zoo.data.synthetic import render_cell


@pytest.mark.parametrize("cells", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_demo_gets_forty_of_46_on_average(cells):
    """With the demo's own settings: bend up to 40 degrees, noise 0.02, tilt up to 20 degrees, seeds from 0."""
    model = create_model(DEFAULT_MODEL, pretrained=True, deployed=True)
    right = []
    for seed in range(cells):
        cell = render_cell(seed)
        predictions, _ = classify_cell(model, [image for _, _, image in cell])
        right.append(sum(name == prediction for (name, _, _), prediction in zip(cell, predictions, strict=True)))
    assert np.mean(right) >= 40, right


def test_demo_prints_and_draws(tmp_path):
    text = demo(0, 40, 0.02, tmp_path / "new" / "demo.png")
    assert "of 46 correct: synthetic cell, seed 0, bend up to 40 degrees, noise 0.02" in text
    assert "Gflops (multiply-adds)" in text
    assert len([line for line in text.splitlines() if line[:1].isdigit() or line[:1] in "XY"]) >= 46
    assert Image.open(tmp_path / "new" / "demo.png").size == (12 * 104, 4 * 176)
