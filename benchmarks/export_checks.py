"""What the choices in exporting rest on: how exact graphs are, and what each part of int8 is worth. On val parts alone.

    pip install '.[export]' && python benchmarks/export_checks.py --data FOLDER [--r50half runs/r50half] [--rounds 5]
    python benchmarks/export_checks.py --only parity --data FOLDER

Writes, with their .md:
- results/export_parity.csv, in ONNX Runtime in fp32, over the whole val part: pixels of the canvas that a graph makes otherwise
  than Python, by the preprocessing of each released model and of the paper at 448x456; logits from canvases and from crops;
- results/export_int8.csv: int8 as it is and with one choice changed, calibrated on 256 images of the train part: how much a
  logit is off over the val part (root mean square), and images a second, timed in turn (--r50half: see export.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import record
import torch
from sets import NAMES, calibration_crops, open_part, tag_of
from weights import create, released, title_of

from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.timing import time_in_turn
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.evaluate import best_batch_size
from gricol_zoo.export import export_model, open_exported
from gricol_zoo.export.canvas import CanvasInGraph
from gricol_zoo.export.check import canvases_of, compare, read_crops
from gricol_zoo.export.int8 import Int8, quantize
from gricol_zoo.export.write import OPSET
from gricol_zoo.spec import Preprocess

SUBJECTS = ("gricol_r18half_n3_128.qband", "r18half_128.qband", "gril_r18half_128.pki3")
VARIANTS = {
    "as it is": Int8(),
    "convolutions alone": Int8(operators=("Conv",)),
    "classifier too": Int8(operators=(*Int8().operators, "Gemm")),
    "extreme ranges": Int8(mean_ranges=False),
    "eight bits": Int8(seven_bits=False),
    "eight bits, extreme ranges": Int8(seven_bits=False, mean_ranges=False),
}
PARITY = {
    "name": ("weights", ""),
    "images": ("val crops", ""),
    "unequal": ("pixels of the canvas unequal", ""),
    "share": ("of all", ".1e"),
    "levels": ("by at most, grey levels", ""),
    "canvases": ("from canvases, largest difference of a logit", ".1e"),
    "crops": ("from crops", ".1e"),
    "scale": ("largest logit", ".1f"),
    "changed": ("classes changed, either", ""),
}
INT8 = {
    "name": ("weights", ""),
    "variant": ("int8", ""),
    "rms": ("a logit is off by (rms)", ".3f"),
    "largest": ("at most", ".2f"),
    "changed": ("classes changed", ""),
    "images": ("val images", ""),
    "per_sec": ("images/s", ".0f"),
}


def canvas_in_onnx(how: Preprocess, size: tuple[int, int], file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return the first part of an exported graph, alone: crop to canvas, (H, W) float32 both."""
    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("height"), 2: torch.export.Dim("width")}
    program = torch.export.export(CanvasInGraph(how, size), (torch.rand(2, 83, 61),), dynamic_shapes=(dims,), strict=False)
    torch.onnx.export(program, (), str(file), dynamo=True, opset_version=OPSET, input_names=["images"], verbose=False)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda crop: session.run(None, {"images": crop[None]})[0][0]  # type: ignore[no-any-return]


def canvas_line(name: str, crops: list[np.ndarray], how: Preprocess, size: tuple[int, int], folder: Path) -> dict[str, Any]:
    """Return how many pixels a graph makes otherwise, and by how much."""
    in_graph, unequal, levels = canvas_in_onnx(how, size, folder / "canvas.onnx"), 0, 0
    for crop in crops:
        apart = np.abs(in_graph(crop) - to_canvas(crop, how, size))
        unequal, levels = unequal + int((apart > 0).sum()), max(levels, int(apart.max()))
    share = unequal / (len(crops) * size[0] * size[1])
    return {"name": name, "images": len(crops), "unequal": unequal, "share": share, "levels": levels}


def parity(data: Path, folder: Path) -> list[dict[str, Any]]:
    """Compare canvases and logits."""
    crops = {tag: read_crops(open_part(tag, data, "val")) for tag in NAMES}
    rows = []
    for name in released():
        model, seen = create(name), crops[tag_of(name)]
        found = {
            what: export_model(model, folder / f"{what}.onnx", crops=what == "crops", check=seen)
            for what in ("canvases", "crops")
        }
        row = canvas_line(name, seen, model.spec.preprocess, model.spec.image_size, folder)
        row |= {what: agreement.difference for what, agreement in found.items()} | {"scale": found["crops"].scale}
        rows.append({**row, "changed": sum(agreement.changed for agreement in found.values())})
    for tag, title in NAMES.items():
        rows.append(canvas_line(f"the paper's preprocessing, {title}", crops[tag], Preprocess(), (448, 456), folder))
    return rows


def int8(name: str, tag: str, data: Path, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Compare the variants of one model."""
    model, val = create(name), read_crops(open_part(tag, data, "val"))
    train, size = canvases_of(model, calibration_crops(tag, data)), best_batch_size(model.spec)
    batch = canvases_of(model, val[:size])
    plain, file = folder / "fp32.onnx", folder / "int8.onnx"
    export_model(model, plain)
    rows, steps = [], {}
    for variant, how in VARIANTS.items():
        quantize(plain, file, train, how)
        exported = open_exported(file, torch.get_num_threads())
        found = compare(model, exported, val)
        row = {"name": title_of(name), "variant": variant, "rms": found.rms, "largest": found.difference}
        rows.append({**row, "changed": found.changed, "images": found.images, **dataclasses.asdict(how)})
        steps[variant] = partial(exported.logits, batch)
    times = time_in_turn(steps, rounds)
    return [{**row, "per_sec": size / times[row["variant"]].median, **describe_machine()} for row in rows]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--r50half", default="", help="a folder of `train`, on Q-band")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("parity", "int8"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only != "int8":
            record.write("export_parity", parity(options.data, folder), PARITY)
        if options.only == "parity":
            return
        subjects = [*((each, tag_of(each)) for each in SUBJECTS), *([(options.r50half, "qband")] if options.r50half else [])]
        rows = [row for each, tag in subjects for row in int8(each, tag, options.data, folder, options.rounds)]
        record.write("export_int8", rows, INT8)


if __name__ == "__main__":
    main()
