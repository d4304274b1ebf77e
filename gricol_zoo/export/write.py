"""Export a model to a file for other runtimes; the file is only written if its results agree with the model in Python."""

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
"""Format -> suffix of its file."""
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
    """Export the lower branch of a model with a dynamic batch size, and compare it with the model in Python.

    The file has the input ``images``, (B, H, W), and the output ``logits``, (B, classes). A file that makes the canvas from
    rotated or centred crops has a second input ``scale``, (B,): the factor that brings each crop to the scale of the training
    images. The file of a model with polarity has a second output ``short_arm_up``, (B,).

    Args:
        model: a model in its full or deployed form, with or without weights.
        file: the file to write; ".onnx", or ".pt2" for pt2.
        format: "onnx", "pt2" or "int8" (8-bit ONNX).
        crops: whether to take crops and make the canvas in the graph, instead of taking canvases.
        check: crops for the comparison, (H, W) float32 in 0..1 each; if empty, 48 synthetic ones are used.
        calibrate: crops of training images, for int8.

    Returns:
        The comparison of the file with the model.

    Raises:
        GricolZooError: the format is unknown, the suffix does not fit it, the model cannot be exported, int8 has no images or
            includes the preprocessing, or the results of the file do not agree with the model. No file is written then.
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
        program: as ``torch.export.export`` returns it.
        file: the file to write.
        info: the metadata of the file, name -> text; "inputs" and "outputs" are JSON lists of their names.
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
    """Suppress the warnings and the output of exporters."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
