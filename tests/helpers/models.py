"""Models that are quick, and weights with little metadata."""

from gricol_zoo import MODELS

SMALL = {"image_size": (96, 98), "cell_size": (48, 48)}
"""A size at which every model is quick; the same code as at 448x456, by proportion."""
OLD_MODEL = "gricol_r18half_n3_128.qband"
"""Packaged weights of preparation 1, which record neither the length of their training images nor a reference of them."""
LIGHT = {"trunk": "r18half"}
"""Options of a comparison system's backbone: a lighter trunk instead of its ResNet-50."""
WITH_TRUNK = {
    **dict.fromkeys(("abn_r50", "dcl_r50", "hrnet_w18_joints", "maskcnn_r50", "mmhpn_r50", "multiregion_r50"), LIGHT),
    **dict.fromkeys(("ntsnet_r50", "racnn_r50", "varifocal_r50"), LIGHT),
    "kernelpool_r50": {**LIGHT, "sketch": 64},
}
"""Comparison systems that take ``LIGHT``, with the options that make them quick."""
LIGHT_BACKBONES = {MODELS.get(name).backbone: options for name, options in WITH_TRUNK.items()}
"""The same by the names of their backbones."""
LIGHTER = {name: {"backbone_options": options} for name, options in WITH_TRUNK.items()} | {
    name: {"backbone": "r18half"}
    for name in ("gricol_r50half_n2", "gricol_r50half_n3_nooverlap", "gricol_r50half_n4", "gril_r50half")
}
"""Changes that make a model smaller where its backbone does not matter; `gricol_r50half_n3` keeps its own in every run."""
