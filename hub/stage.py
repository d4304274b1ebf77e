"""Stage a finished run for the Hub: hub/NAME.TAG/ with model.safetensors, config.json, and its log among the results.

    python hub/stage.py runs/r18half_128.qband [--packaged]

Prints the entry for ``WEIGHTS`` in gricol_zoo/presets.py; ``hub/card.py`` writes the cards. With ``--packaged`` a copy goes into
the package as well. A weight file is committed once, when it is final.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import gricol_zoo

HUB = Path(__file__).parent
RESULTS = HUB.parent / "benchmarks" / "results"
ASSETS = Path(gricol_zoo.__file__).parent / "assets"
MOST_BYTES = 60_000_000
MOST_PACKAGED = 12_000_000


def stage(run: Path, target: Path, tag: str) -> dict[str, Any]:
    """Load a run as a user would, save it under its tag, check that the copy gives the same logits; return its record."""
    import torch

    model = gricol_zoo.create_model(f"local-dir:{run}", pretrained=True)
    model.info["tag"] = tag
    model.info["training"]["commit"] = (run / "commit.txt").read_text().strip()
    model.save_pretrained(target)
    images = torch.randn(2, model.in_chans, *model.spec.image_size)
    copy = gricol_zoo.create_model(f"local-dir:{target}", pretrained=True)
    if not torch.equal(copy.full(images), model.full(images)):
        raise SystemExit("the staged copy gives other logits")
    return dict(json.loads((target / "config.json").read_text())["gricol_zoo"])


def main() -> None:
    """Stage one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished folder of benchmarks/train_weights.py, named as the weights are")
    parser.add_argument("--packaged", action="store_true", help="copy it into the package too")
    options = parser.parse_args()
    name, _, tag = options.run.name.rpartition(".")
    target = HUB / options.run.name
    info = stage(options.run, target, tag)
    most = MOST_PACKAGED if options.packaged else MOST_BYTES
    if info["size"] > most:
        raise SystemExit(f"{info['size']} bytes: at most {most}")
    if options.packaged:
        packaged = ASSETS / options.run.name
        packaged.mkdir(exist_ok=True)
        for file in ("config.json", "model.safetensors"):
            shutil.copyfile(target / file, packaged / file)
    shutil.copyfile(options.run / "log.csv", RESULTS / f"{options.run.name}.log.csv")
    where = ", packaged=True" if options.packaged else ""
    print(f'"{name}": "{tag}": Weights("gricol-zoo/{options.run.name}", "", {info["size"]}, "{info["sha256"]}"{where})')


if __name__ == "__main__":
    main()
