"""Evidence for the choices in exporting: how exact the graphs are, and the effect of each part of int8. Val parts only.

    pip install '.[export]' && python -m benchmarks.speed.export_checks --data FOLDER [--r50half runs/r50half] [--rounds 5]
    python -m benchmarks.speed.export_checks --only parity --data FOLDER [--weights 'r18half_192.*']

Writes, with their .md:
- results/speed/export_parity.csv, in ONNX Runtime in fp32, over the whole val part: canvas pixels that differ between a graph
  and Python, by the preprocessing of each released model and of the paper at 448x456; logits from canvases and from crops. For
  preparation 2 also the logits of torch.export, and canvases of crops that have a scale. --weights measures some weights again
  and keeps the other lines;
- results/speed/export_int8.csv: int8 as it is and with one choice changed, calibrated on 256 images of the train part: how
  much a logit is off over the val part (root mean square), and images per second, timed in turn (--r50half: see export.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks.common import record
from benchmarks.common.sets import NAMES, calibration_crops, open_part, tag_of
from benchmarks.common.weights import create, released, title_of
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.timing import time_in_turn
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.export import export_model, open_exported
from gricol_zoo.export.canvas import CanvasInGraph
from gricol_zoo.export.check import canvases_of, compare, read_crops
from gricol_zoo.export.int8 import Int8, quantize
from gricol_zoo.export.write import OPSET
from gricol_zoo.inference.logits import best_batch_size
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
ORT, PAPER = "ONNX Runtime", "the paper's preprocessing"
SCALES = (0.5, 0.75, 1.0, 1.3, 2.0, 3.0)
PARITY = {
    "name": ("weights", ""),
    "runtime": ("run by", ""),
    "images": ("val crops", ""),
    "unequal": ("canvas pixels that differ", ""),
    "share": ("of all", ".1e"),
    "levels": ("at most, grey levels", ""),
    "canvases": ("from canvases, largest difference of a logit", ".1e"),
    "crops": ("from crops", ".1e"),
    "scale": ("largest logit", ".1f"),
    "changed": ("classes changed, either", ""),
}
INT8 = {
    "name": ("weights", ""),
    "variant": ("int8", ""),
    "rms": ("logit error (rms)", ".3f"),
    "largest": ("at most", ".2f"),
    "changed": ("classes changed", ""),
    "images": ("val images", ""),
    "per_sec": ("images/s", ".0f"),
}


def canvas_in_onnx(how: Preprocess, size: tuple[int, int], file: Path) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return the first part of an exported graph, alone: crop, (H, W) float32, and scale to canvas, float32."""
    batch = torch.export.Dim("batch")
    dims = ({0: batch, 1: torch.export.Dim("height"), 2: torch.export.Dim("width")}, {0: batch})
    net, example, names = CanvasInGraph(how, size), (torch.rand(2, 83, 61), torch.ones(2)), ["images", "scale"]
    taken = 2 if net.scales else 1
    program = torch.export.export(net, example[:taken], dynamic_shapes=dims[:taken], strict=False)
    torch.onnx.export(program, (), str(file), dynamo=True, opset_version=OPSET, input_names=names[:taken], verbose=False)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def run(crop: np.ndarray, scale: float) -> np.ndarray:
        given = {"images": crop[None], "scale": np.array([scale], np.float32)}
        return session.run(None, {name: given[name] for name in names[:taken]})[0][0]

    return run


def canvas_line(
    name: str, crops: list[np.ndarray], how: Preprocess, size: tuple[int, int], folder: Path, scales: tuple[float, ...] = (1.0,)
) -> dict[str, Any]:
    """Return how many canvas pixels differ between a graph and Python, and by how much; the crops take the scales in turn."""
    in_graph, unequal, levels = canvas_in_onnx(how, size, folder / "canvas.onnx"), 0, 0
    for crop, scale in zip(crops, itertools.cycle(scales), strict=False):
        apart = np.abs(in_graph(crop, scale) - to_canvas(crop, how, size, scale))
        unequal, levels = unequal + int((apart > 0).sum()), max(levels, int(apart.max()))
    share = unequal / (len(crops) * size[0] * size[1])
    return {"name": name, "runtime": ORT, "images": len(crops), "unequal": unequal, "share": share, "levels": levels}


def weights_lines(name: str, crops: list[np.ndarray], folder: Path) -> list[dict[str, Any]]:
    """Compare canvases and logits of released weights."""
    model = create(name)
    how, size = model.spec.preprocess, model.spec.image_size
    found = {
        what: export_model(model, folder / f"{what}.onnx", crops=what == "crops", check=crops) for what in ("canvases", "crops")
    }
    row = canvas_line(name, crops, how, size, folder)
    row |= {what: agreement.difference for what, agreement in found.items()} | {"scale": found["crops"].scale}
    rows = [{**row, "changed": sum(agreement.changed for agreement in found.values())}]
    if how.version > 1:
        torch_export = export_model(model, folder / "crops.pt2", "pt2", crops=True, check=crops)
        row = {"name": f"{name}, as pt2", "runtime": "torch.export", "images": torch_export.images}
        row |= {"crops": torch_export.difference, "scale": torch_export.scale, "changed": torch_export.changed}
        rows += [row, canvas_line(f"{name}, scales of 0.5 to 3", crops, how, size, folder, SCALES)]
    return rows


def parity(data: Path, folder: Path, pattern: str) -> list[dict[str, Any]]:
    """Compare canvases and logits of the weights whose names match a pattern; other lines are kept."""
    crops = {tag: read_crops(open_part(tag, data, "val")) for tag in NAMES}
    rows = [row for name in released(pattern) for row in weights_lines(name, crops[tag_of(name)], folder)]
    if pattern == "*":
        for tag, title in NAMES.items():
            rows.append(canvas_line(f"{PAPER}, {title}", crops[tag], Preprocess(), (448, 456), folder))
    rows += [{"runtime": ORT, **row} for row in record.kept("speed/export_parity", [row["name"] for row in rows])]
    return sorted(rows, key=lambda row: (row["name"].startswith(PAPER), row["name"]))


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
    parser.add_argument("--weights", default="*", help="for parity: only names that match this pattern")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only != "int8":
            record.write("speed/export_parity", parity(options.data, folder, options.weights), PARITY)
        if options.only == "parity":
            return
        subjects = [*((each, tag_of(each)) for each in SUBJECTS), *([(options.r50half, "qband")] if options.r50half else [])]
        rows = [row for each, tag in subjects for row in int8(each, tag, options.data, folder, options.rounds)]
        record.write("speed/export_int8", rows, INT8)


if __name__ == "__main__":
    main()
