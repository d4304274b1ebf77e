"""Record the file layout of a model, so that the tests of a later version fail if it can no longer read such files.

    python -m hub.keep NAME.TAG ...              # staged weights
    python -m hub.keep --small NAME ...          # a registered model, small and with random weights

Writes tests/released/NAME.json: the config, and the dtype and shape of each tensor (no weights). Never change such a file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import gricol_zoo
from gricol_zoo.weights.config import CONFIG_FILE
from gricol_zoo.weights.source import WEIGHTS_FILE
from gricol_zoo.weights.tensors import safetensors_file

HUB = Path(__file__).parent
KEPT = HUB.parent / "tests" / "released"
SMALL: dict[str, Any] = {"image_size": (96, 98), "cell_size": (48, 48)}


def keep(name: str, folder: Path) -> Path:
    """Record the config, and the dtype and shape of each tensor, of a folder of weights, unless its name has a record already.

    Returns the record's file.
    """
    file = KEPT / f"{name}.json"
    if file.exists():
        return file
    with safetensors_file(folder / WEIGHTS_FILE) as tensors:
        slices = {key: tensors.get_slice(key) for key in sorted(tensors.keys())}
        shapes = {key: [part.get_dtype(), part.get_shape()] for key, part in slices.items()}
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in shapes.items())
    KEPT.mkdir(exist_ok=True)
    file.write_text(f'{{"config": {json.dumps(config)},\n"tensors": {{\n{lines}\n}}}}\n', encoding="utf-8")
    return file


def main() -> None:
    """Record the models named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="registered models with random weights, at a small size")
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    for name in options.names:
        if (KEPT / f"{name}.json").exists():
            raise SystemExit(f"{KEPT / name}.json exists already. The record of a released model never changes.")
        with tempfile.TemporaryDirectory() as folder:
            if options.small:
                gricol_zoo.create_model(name, **SMALL).save_pretrained(folder)
            print(keep(name, Path(folder) if options.small else HUB / name))


if __name__ == "__main__":
    main()
