"""``gricol-zoo demo``: classify a synthetic cell with the packaged weights; a table and a picture. Works offline.

The weights were trained on real images only, so the synthetic cell is as new to them as a user's own images.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.synthetic import render_cell
from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel, create_model
from gricol_zoo.files import write_atomically
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.flops import count
from gricol_zoo.models.presets import DEFAULT_MODEL

COLUMNS = 12
CELL = (104, 176)
ENLARGE = 1.6


def classify_cell(model: GridModel | DeployedModel, images: list[np.ndarray]) -> tuple[list[str], np.ndarray]:
    """Return the predicted class and the (n,) probability of it for n grey images, (H, W) float in 0..1."""
    canvases = np.stack([to_canvas(image, model.spec.preprocess, model.spec.image_size) for image in images])
    probabilities = model.info.calibration.probabilities(predict_logits(model, canvases))
    return [model.spec.labels[index] for index in probabilities.argmax(1)], probabilities.max(1)


def demo(seed: int, bend: float, noise: float, out: Path) -> str:
    """Render, classify and draw one cell; write the picture, and return the table as text.

    Raises:
        GricolZooError: the suffix is not that of an image format, or ``bend`` or ``noise`` is out of range.
    """
    format = Image.registered_extensions().get(out.suffix.lower(), "")
    if format not in Image.SAVE:
        raise GricolZooError(f"Expected a picture file such as demo.png, but got {str(out)!r}.")
    model = create_model(DEFAULT_MODEL, pretrained=True)
    assert isinstance(model, GridModel)
    cell = render_cell(seed, bend=bend, noise=noise)
    truths = [name for name, _, _ in cell]
    predictions, probabilities = classify_cell(model, [image for _, _, image in cell])
    out.parent.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    draw_cell(cell, predictions, probabilities).save(stream, format)
    write_atomically(out, stream.getvalue())
    right = sum(truth == prediction for truth, prediction in zip(truths, predictions, strict=True))
    lines = ["chromosome  predicted  probability"]
    for (name, copy, _), prediction, probability in zip(cell, predictions, probabilities, strict=True):
        mark = "" if prediction == name else "  wrong"
        lines.append(f"{name + copy:<10}  {prediction:<9}  {probability:.3f}{mark}")
    cost = count(model)
    lines += [
        "",
        f"{right} of {len(cell)} correct: synthetic cell, seed {seed}, bend up to {bend:g} degrees, noise {noise:g}",
        f"model {DEFAULT_MODEL}: lower branch {cost.lower:.3f} Gflops (multiply-adds) per image of "
        f"{model.spec.image_size[0]}x{model.spec.image_size[1]}, {cost.params_deployed:.2f} M parameters in the deployed form",
        f"picture: {out}",
    ]
    return "\n".join(lines)


def draw_cell(cell: list[tuple[str, str, np.ndarray]], predictions: list[str], probabilities: np.ndarray) -> Image.Image:
    """Draw the chromosomes of a cell in rows, each with its prediction; wrong ones in red with the true class."""
    rows = -(-len(cell) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL[0], rows * CELL[1]), "white")
    pen = ImageDraw.Draw(sheet)
    for index, ((name, _, grey), prediction, probability) in enumerate(zip(cell, predictions, probabilities, strict=True)):
        left, top = index % COLUMNS * CELL[0], index // COLUMNS * CELL[1]
        picture = Image.fromarray((255 - np.clip(grey * 1.4, 0, 1) * 255).astype(np.uint8))
        picture = picture.resize((int(picture.width * ENLARGE), int(picture.height * ENLARGE)), Image.Resampling.BICUBIC)
        picture.thumbnail((CELL[0] - 4, CELL[1] - 24))
        sheet.paste(picture, (left + (CELL[0] - picture.width) // 2, top + (CELL[1] - 24 - picture.height) // 2))
        good = prediction == name
        text = f"{prediction}  {probability:.0%}" if good else f"{prediction}, is {name}  {probability:.0%}"
        pen.text(
            (left + CELL[0] // 2, top + CELL[1] - 12), text, fill="black" if good else "#c00000", anchor="mm", font_size=13
        )
    return sheet
