"""Stage a finished training run for the Hub.

    python -m hub.stage runs/r18half_128.qband [--packaged]

Writes model.safetensors, config.json and pixels.bin to hub/NAME.TAG/, adds the weights to the package's table
(gricol_zoo/assets/weights.json), records their file layout in tests/released/, and copies the training log to
benchmarks/results/released/. ``hub.card`` writes the cards. With ``--packaged`` the files are moved into the package, and
hub/NAME.TAG/ has links to them. Commit a weight file only once, when it is final.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import gricol_zoo
from gricol_zoo.models.presets import TABLE
from gricol_zoo.weights.pixels import PIXELS_FILE
from hub.keep import keep

HUB = Path(__file__).parent
RESULTS = HUB.parent / "benchmarks" / "results" / "released"
ASSETS = Path(gricol_zoo.__file__).parent / "assets"
MAX_BYTES = 60_000_000
MAX_PACKAGED = 12_000_000
TAGS = ("qband", "pki3")  # a model's first tag is its default


def stage(run: Path, target: Path, tag: str) -> dict[str, Any]:
    """Load a run as a user would, save it under its tag, and return the ``gricol_zoo`` section of its config.

    Raises:
        SystemExit: the saved copy gives different logits.
    """
    import torch

    model = gricol_zoo.create_model(f"local-dir:{run}", pretrained=True)
    commit = (run / "commit.txt").read_text().strip()
    model.info = model.info.replace(tag=tag, training={**model.info.training, "commit": commit})
    for file in target.glob("*"):
        if file.is_symlink():  # to the packaged files of an earlier version, which must not be written through
            file.unlink()
    model.save_pretrained(target)
    images = torch.randn(2, model.in_chans, *model.spec.image_size)
    copy = gricol_zoo.create_model(f"local-dir:{target}", pretrained=True)
    if not torch.equal(copy.full(images), model.full(images)):
        raise SystemExit("the staged copy gives different logits")
    return dict(json.loads((target / "config.json").read_text())["gricol_zoo"])


def enter(name: str, info: dict[str, Any], packaged: bool) -> None:
    """Add staged weights to the package's table, without a Hub commit for now.

    With ``packaged`` their files move into the package; the packaged weights of other models stay, so their names still load.
    """
    table: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    own, _, tag = name.rpartition(".")
    table.setdefault(own, {})[tag] = {"revision": "", "size": info["size"], "sha256": info["sha256"], "packaged": packaged}
    shutil.rmtree(ASSETS / name, ignore_errors=True)
    if packaged:
        (ASSETS / name).mkdir()
        for file in sorted({"config.json", "model.safetensors", PIXELS_FILE} & {one.name for one in (HUB / name).iterdir()}):
            shutil.move(HUB / name / file, ASSETS / name / file)
            (HUB / name / file).symlink_to(os.path.relpath(ASSETS / name / file, HUB / name))  # in git once
    ordered = {arch: {tag: table[arch][tag] for tag in TAGS if tag in table[arch]} for arch in sorted(table)}
    TABLE.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Stage one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="output folder of benchmarks.make.train_weights, with the name of the weights")
    parser.add_argument("--packaged", action="store_true", help="move its files into the package")
    options = parser.parse_args()
    name = options.run.name
    info = stage(options.run, HUB / name, name.rpartition(".")[2])
    maximum = MAX_PACKAGED if options.packaged else MAX_BYTES
    if info["size"] > maximum:
        raise SystemExit(f"the weight file has {info['size']} bytes; at most {maximum} are allowed")
    enter(name, info, options.packaged)
    keep(name, HUB / name)
    shutil.copyfile(options.run / "log.csv", RESULTS / f"{name}.log.csv")
    print(f"{name}: {info['size']} bytes, sha256 {info['sha256']}, val accuracy {info['val']['accuracy']:.4f}")


if __name__ == "__main__":
    main()
