"""The paper's Fig. 5 and 6 for our models: what they look at, and how well their features separate the classes.

    pip install '.[viz]'
    python -m benchmarks.paper.explain --data FOLDER

Writes results/paper/tsne.qband.png, results/paper/embed.csv (the numbers under the maps) and
results/paper/explain.synthetic.png. Features are of the val part; the data set's images stay on your machine, so the
chromosome that is explained is a rendered one. For your own images, use `gricol-zoo explain`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.common.record import RESULTS, kept, write
from benchmarks.common.sets import NAMES, open_part, split_file
from benchmarks.common.weights import create
from gricol_zoo.data.synthetic import render_cell
from gricol_zoo.explain.feature_maps import map_features, tsne_figure
from gricol_zoo.explain.figures import explain_figure, save_figure
from gricol_zoo.explain.panel import explain_image
from gricol_zoo.factory import GridModel

TAG, PART, SEED, NEIGHBOURS = "qband", "val", 0, 10
MODELS = [f"{arch}.{TAG}" for arch in ("r18half_128", "gril_r18half_128", "gricol_r18half_n3_128")]
SHOWN = ("9", "a")  # class and copy of the rendered cell
COLUMNS = {
    "name": ("model", ""),
    "part": ("part", ""),
    "images": ("images", ""),
    "features": ("features", ""),
    "silhouette": ("silhouette", ".3f"),
    "knn_purity": ("10-NN purity", ".3f"),
    "map_silhouette": ("silhouette, map", ".3f"),
    "map_knn_purity": ("10-NN purity, map", ".3f"),
}


def embed(folder: Path) -> None:
    """Map and score the features of the three models."""
    images = open_part(TAG, folder, PART)
    maps, rows = [], kept("paper/embed", MODELS)
    labels: tuple[str, ...] = ()
    for name in MODELS:
        model = create(name)
        labels = model.spec.labels
        one = map_features(model, images, name, SEED, NEIGHBOURS)
        maps.append(one)
        known = {"weights_sha256": model.info.sha256, "split": split_file(TAG).name, "part": PART, "seed": SEED}
        rows.append({"name": name, **known, **{key: value for key, value in one.scores().items() if key != "model"}})
    title = f"{NAMES[TAG]}, {PART} part, {len(images)} images: pooled features of the lower branch by t-SNE"
    save_figure(tsne_figure(maps, labels, title), RESULTS / "paper" / f"tsne.{TAG}.png", dpi=110)
    write("paper/embed", rows, COLUMNS)


def explain() -> None:
    """Explain one rendered chromosome with each of the three models."""
    grey = {(label, copy): image for label, copy, image in render_cell(SEED)}[SHOWN]
    rows = []
    for name in MODELS:
        model = create(name, deployed=False)
        assert isinstance(model, GridModel)
        rows.append(explain_image(model, grey, name))
    save_figure(explain_figure(rows, f"A rendered chromosome {SHOWN[0]}"), RESULTS / "paper" / "explain.synthetic.png", dpi=110)


def main() -> None:
    """Make both figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip")
    options = parser.parse_args()
    explain()
    embed(options.data)


if __name__ == "__main__":
    main()
