"""Put a trained folder into the package, and print its line for the table of weights.

    python hub/stage.py --run runs/second --tag qband

The line goes into ``WEIGHTS`` of gricol_zoo/presets.py. A weight file is committed once, when it is final.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import gricol_zoo

ASSETS = Path(gricol_zoo.__file__).parent / "assets"
MOST_BYTES = 12_000_000


def main() -> None:
    """Load the folder as a user would, save it under its tag, and check that the copy gives the same logits."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--tag", required=True)
    options = parser.parse_args()
    model = gricol_zoo.create_model(f"local-dir:{options.run}", pretrained=True)
    model.info["tag"] = options.tag
    target = ASSETS / f"{model.name}.{options.tag}"
    model.save_pretrained(target)
    images = torch.randn(2, model.in_chans, *model.spec.image_size)
    copy = gricol_zoo.create_model(f"local-dir:{target}", pretrained=True)
    if not torch.equal(copy(images), model(images)):
        raise SystemExit("the staged copy gives other logits")
    info = json.loads((target / "config.json").read_text())["gricol_zoo"]
    if info["size"] > MOST_BYTES:
        raise SystemExit(f"{info['size']} bytes: at most {MOST_BYTES} go into the package")
    print(f'"{model.name}": {{"{options.tag}": Weights("gricol-zoo/{model.name}.{options.tag}", "", {info["size"]},')
    print(f'    "{info["sha256"]}", packaged=True)}}')


if __name__ == "__main__":
    main()
