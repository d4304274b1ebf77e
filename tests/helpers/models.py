"""Models that are quick, and ones that know little."""

SMALL = {"image_size": (96, 98), "cell_size": (48, 48)}
"""A size at which every model is quick; the same code as at 448x456, by proportion."""
OLD_MODEL = "gricol_r18half_n3_128.qband"
"""Packaged weights of preparation 1, that know neither the length of their training images nor what these were like."""
LIGHT = {"trunk": "r18half"}
"""Options of a comparison system's backbone: a lighter trunk than its own ResNet-50."""
ON_R50 = ("abn_r50", "dcl_r50", "mmhpn_r50", "multiregion_r50", "ntsnet_r50")
"""Comparison systems that take ``LIGHT``."""
LIGHTER = {name: {"backbone_options": LIGHT} for name in ON_R50} | {
    name: {"backbone": "r18half"}
    for name in ("gricol_r50half_n2", "gricol_r50half_n3_nooverlap", "gricol_r50half_n4", "gril_r50half")
}
"""What of a model may be smaller where its backbone does not matter; `gricol_r50half_n3` has its own in every run."""
