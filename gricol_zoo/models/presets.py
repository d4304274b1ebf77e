"""Every shipped name: one entry each, and the weights released for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gricol_zoo.files import read_json
from gricol_zoo.registry import Registry
from gricol_zoo.spec import ModelSpec, Preprocess

MODELS: Registry[ModelSpec] = Registry("model", "gricol_zoo.models")

GRICOL = MODELS.add("gricol_r50half_n3", ModelSpec("r50half", "overlap", "reconstruction", "conv"))
MODELS.add("gricol_r50half_n2", GRICOL.replace(grid=2))
MODELS.add("gricol_r50half_n4", GRICOL.replace(grid=4))
MODELS.add("gricol_r50half_n3_nooverlap", GRICOL.replace(splitter="tiles"))
MODELS.add("gril_r50half", GRICOL.replace(head="per_cell"))
MODELS.add("r50half", GRICOL.replace(splitter="none", head="none"))

# The systems that the paper compares itself with (Table 3).
MODELS.add("resnet50", ModelSpec("r50"))
MODELS.add("mmhpn_r50", ModelSpec("mmhpn"))
MODELS.add("multiregion_r50", ModelSpec("multiregion"))
MODELS.add("cirnet", ModelSpec("cirnet", image_size=(224, 224)))
MODELS.add("cirnet_pooled", ModelSpec("cirnet", image_size=(224, 224), backbone_options={"flat": False}))
MODELS.add("hu2019", ModelSpec("hu2019", image_size=(224, 224)))

# Systems that the paper's introduction names.
MODELS.add("sharma2017", ModelSpec("sharma2017", image_size=(120, 120)))
MODELS.add("siamese2017", ModelSpec("siamese2017", image_size=(128, 32)))
MODELS.add("abn_r50", ModelSpec("abn"))
MODELS.add("bcnn_vgg16", ModelSpec("bcnn"))
MODELS.add("dcl_r50", ModelSpec("dcl"))
MODELS.add("ntsnet_r50", ModelSpec("ntsnet"))
MODELS.add("kernelpool_r50", ModelSpec("kernelpool"))
MODELS.add("maskcnn_r50", ModelSpec("maskcnn"))
MODELS.add("racnn_r50", ModelSpec("racnn"))
MODELS.add("varifocal_r50", ModelSpec("varifocal", image_size=(256, 256)))
MODELS.add("hrnet_w18_joints", ModelSpec("hrnet", image_size=(256, 256)))

# Light family. The crop is turned upright and enlarged 1.5 times, so a canvas of 128x96 holds a chromosome of
# up to 84 crop pixels unshrunk (`train` sets the scale by the data's own lengths). The lower branch sees the whole canvas:
# halving it to a cell would blur the bands away. It is larger than a cell, so the cells have batch-norms of their own.
LIGHT = MODELS.add(
    "gricol_r18half_n3_128",
    ModelSpec(
        "r18half",
        "overlap",
        "reconstruction",
        "none",
        image_size=(128, 96),
        cell_size=(64, 64),
        cell_norm="own",
        preprocess=Preprocess(orientation="upright", scale=1.5, pad_to=None, contrast="p99"),
    ),
)
MODELS.add("gril_r18half_128", LIGHT.replace(head="per_cell"))
MODELS.add("r18half_128", LIGHT.replace(splitter="none", head="none"))

# The same family on a canvas that holds all but 1 of 200 chromosomes unshrunk, bent ones included. Preparation 2 uses the
# chromosome alone, for any camera. The model predicts polarity (which end is up) along with the class.
TALL = MODELS.add(
    "gricol_r18half_n3_192",
    LIGHT.replace(image_size=(192, 96), cell_size=(96, 64), polarity=True, preprocess={"version": 2, "scale": 1.6}),
)
MODELS.add("gricol_r18half_rows3_192", TALL.replace(splitter="rows", cell_size=(96, 96)))
MODELS.add("gril_r18half_192", TALL.replace(head="per_cell"))
MODELS.add("r18half_192", TALL.replace(splitter="none", head="none"))


HUB_ORG = "gricol-zoo"
"""Hub organisation that owns the weight repositories, ``gricol-zoo/<model>.<tag>``."""


@dataclass(frozen=True)
class Weights:
    """Where the weights of one tag are, and the size and hash that they must have.

    Attributes:
        repo: the Hub repository, "org/name".
        revision: the 40-digit commit, empty until the weights have been uploaded.
        size: bytes of model.safetensors.
        sha256: SHA-256 of model.safetensors, in hex.
        packaged: whether the wheel contains them (``gricol_zoo/assets/<model>.<tag>/``).
    """

    repo: str
    revision: str
    size: int
    sha256: str
    packaged: bool = False


TABLE = Path(__file__).parent.parent / "assets" / "weights.json"


def read_table(file: Path = TABLE) -> dict[str, dict[str, Weights]]:
    """Read the table of released weights, which ``hub.stage`` writes."""
    table = read_json(file, "the table of weights")
    return {
        name: {tag: Weights(f"{HUB_ORG}/{name}.{tag}", **fields) for tag, fields in tags.items()}
        for name, tags in table.items()
    }


WEIGHTS = read_table()
"""Model name -> tag -> weights; the first tag of a model is its default."""

DEFAULT_MODEL = "r18half_192.qband"
"""The model whose weights come with the package; the default where no model is named."""
