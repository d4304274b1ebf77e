"""Write a model to a file for other runtimes; the file appears only if it answers as the model in Python does."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.errors import GricolZooError
from gricol_zoo.export.check import Agreement, canvases_of, check_agreement, compare, synthetic_crops
from gricol_zoo.export.graph import PortableModel, file_metadata, trace
from gricol_zoo.export.int8 import quantize
from gricol_zoo.export.reader import DESCRIPTION, open_exported
from gricol_zoo.factory import GridModel
from gricol_zoo.models.deployed import DeployedModel

FORMATS = {"onnx": ".onnx", "pt2": ".pt2", "int8": ".onnx"}
"""Format -> how its file ends."""
OPSET = 18


def export_model(
    model: GridModel | DeployedModel,
    file: str | Path,
    format: str = "onnx",
    *,
    crops: bool = False,
    check: Sequence[np.ndarray] = (),
    calibrate: Sequence[np.ndarray] = (),
) -> Agreement:
    """Write a model's lower branch, with a dynamic batch, and compare it with the model in Python.

    The file's input is ``images``, (B, H, W); its output is ``logits``, (B, classes). A file that makes the canvas of turned or
    centred crops has a second input ``scale``, (B,): what a crop pixel is multiplied by to be as large as one of the training
    images. The file of a model with polarity has a second output ``short_arm_up``, (B,).

    Args:
        model: either form, with or without weights.
        file: to write; ".onnx" or ".pt2".
        format: "onnx", "pt2" or "int8" (ONNX, 8 bits).
        crops: take crops and make the canvas in the graph, instead of taking canvases.
        check: crops to compare on, (H, W) float32 in 0..1 each; none takes 48 synthetic ones.
        calibrate: crops of training images, for int8.

    Returns:
        How the file compares.

    Raises:
        GricolZooError: a format or ending that does not exist, a model that cannot be exported, int8 without images, or a file
            that would answer otherwise than the model.
    """
    file = Path(file)
    if format not in FORMATS:
        raise GricolZooError(f"Expected `format` to be one of {', '.join(FORMATS)}, but got {format!r}.")
    if file.suffix != FORMATS[format]:
        raise GricolZooError(f"Expected a file that ends in {FORMATS[format]} for {format}, but got {file.name!r}.")
    if format == "int8" and not len(calibrate):
        raise GricolZooError("int8 needs images: it calibrates the activation ranges on training images. Give `calibrate`.")
    if format == "int8" and crops:
        raise GricolZooError("int8 cannot include the preprocessing, which needs more than 8 bits. Leave it out of the graph.")
    portable = PortableModel(model, crops)
    program, info = trace(portable), file_metadata(portable, format)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.stem}.") as folder:
        made = Path(folder) / f"model{file.suffix}"
        if format == "pt2":
            _write_pt2(program, made, info)
        else:
            write_onnx(program, made, info)
        if format == "int8":
            plain = made.rename(made.with_name("fp32.onnx"))
            quantize(plain, made, canvases_of(model, calibrate))
        exported = open_exported(made)
        agreement = compare(model, exported, check or synthetic_crops(48))
        check_agreement(agreement, exported)
        made.replace(file)
    return agreement


def write_onnx(program: Any, file: Path, info: Mapping[str, str]) -> None:
    """Write a traced network as an ONNX file.

    Args:
        program: as ``torch.export.export`` gives it.
        file: to write.
        info: what travels in the file, names to texts; "inputs" and "outputs" are JSON lists of their names.
    """
    import onnx
    import torch

    with quiet():
        made = torch.onnx.export(
            program,
            (),
            dynamo=True,
            opset_version=OPSET,
            input_names=json.loads(info["inputs"]),
            output_names=json.loads(info["outputs"]),
            external_data=False,
        )
        assert made is not None
        made.save(str(file), external_data=False)
    written = onnx.load(str(file))
    onnx.helper.set_model_props(written, dict(info))
    onnx.save(written, str(file))


def _write_pt2(program: Any, file: Path, info: dict[str, str]) -> None:
    import torch

    with quiet():
        torch.export.save(program, file, extra_files={DESCRIPTION: json.dumps(info)})


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep exporters from telling of their steps."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
