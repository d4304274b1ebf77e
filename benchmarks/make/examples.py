"""Run the notebooks of examples/ and keep their output: text and pictures in the notebook, one picture for the gallery.

    pip install '.[examples]'
    python -m benchmarks.make.examples [NAME...]        # without names, all of them

Each runs in an empty folder. What differs from run to run or from machine to machine (progress, times) is not kept. Writes
examples/NAME.ipynb and docs/images/examples/NAME.png, the last picture of the notebook.
"""

from __future__ import annotations

import argparse
import base64
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common.record import ROOT

EXAMPLES, PICTURES = ROOT / "examples", ROOT / "docs" / "images" / "examples"
OFFLINE = {"HF_HUB_OFFLINE": "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def run_notebook(file: Path, folder: Path) -> Any:
    """Run a notebook in a folder and return it with its outputs; a cell that fails stops it (``CellExecutionError``)."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(file, as_version=4)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, **OFFLINE, "PYTHONPATH": path})
    return notebook


def clean(notebook: Any) -> None:
    """Remove stderr output, the cells' metadata (such as when they ran), and the text alternatives of pictures."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
            for data in (one["data"] for one in cell.outputs if "image/png" in one.get("data", {})):
                for other in set(data) - {"image/png"}:
                    del data[other]


def pictures(notebook: Any) -> list[bytes]:
    """Return the PNGs that a notebook shows, in order."""
    shown = [one["data"] for cell in notebook.cells for one in cell.get("outputs", []) if "data" in one]
    return [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]


def main() -> None:
    """Run the notebooks one after another."""
    import nbformat

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=sorted(file.stem for file in EXAMPLES.glob("*.ipynb")))
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in parser.parse_args().names:
        file = EXAMPLES / f"{name}.ipynb"
        with tempfile.TemporaryDirectory() as folder:
            notebook = run_notebook(file, Path(folder))
        clean(notebook)
        nbformat.write(notebook, file)
        (PICTURES / f"{name}.png").write_bytes(pictures(notebook)[-1])
        print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
