"""The systems of the paper's Tables 1 to 3, at two budgets: what is trained, how, and what the paper prints for it.

At full size each is its named model. The light budget puts the light family's trunk (`r18half`) wherever a system has a
ResNet-50, whole or half, and gives all of them 128x96 images, so that it compares the forms of the systems on one trunk;
CIR-Net and Hu's network have trunks of their own and keep them; the high-resolution net has the smallest of its kind.
`resnet50` is then the light control. Systems of the paper's introduction have no figures in its tables.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gricol_zoo.training.recipes import Recipe, get_recipe


@dataclass(frozen=True)
class System:
    """A line of a table.

    Attributes:
        label: name shown in the tables.
        full, full_changes: the model at full size, and the changes to it.
        light, light_changes: the model at the light budget, and the changes to it.
        paper: accuracy in % by image set, as the paper prints it (Table 3; Table 1 without overlap, Table 2 for N = 2 and 4).
        classical: it is a classical system, trained by its own settings.
        precision: "fp32" where bf16 fails; "" leaves it to the recipe.
    """

    label: str
    full: str
    light: str = "r18half_128"
    light_changes: Mapping[str, Any] = field(default_factory=dict)
    paper: Mapping[str, float] = field(default_factory=dict)
    full_changes: Mapping[str, Any] = field(default_factory=dict)
    classical: bool = False
    precision: str = ""


def _paper(g_band: float, fish: float, q_band: float) -> dict[str, float]:
    return {"gband": g_band, "fish": fish, "qband": q_band}


GRICOL = "gricol_r18half_n3_128"


def _cut_after(stage: int) -> System:
    """Return GRiCoL whose cells are cut from the feature map after a stage."""
    changes = {"splitter": "feature_overlap", "splitter_options": {"stage": stage}}
    return System(
        f"GRiCoL, cut after stage {stage}", "gricol_r50half_n3", light=GRICOL, light_changes=changes, full_changes=changes
    )


ON_LIGHT_TRUNK = {"trunk": "r18half"}


def _on_light_trunk(label: str, full: str, backbone: str, light: Mapping[str, Any], **full_options: Any) -> System:
    """Return a system of the paper's introduction (the paper gives no figures for it), with its backbone's options."""
    changes = {"backbone": backbone, "backbone_options": {**ON_LIGHT_TRUNK, **light}}
    return System(label, full, light_changes=changes, full_changes={"backbone_options": full_options} if full_options else {})


SYSTEMS = {
    "resnet50": System("ResNet-50", "resnet50", paper=_paper(86.4, 92.6, 95.3)),
    "mmhpn": System(
        "horizontal pooling [34]",
        "mmhpn_r50",
        light_changes={"backbone": "mmhpn", "backbone_options": {**ON_LIGHT_TRUNK, "width": 32}},
        paper=_paper(93.4, 92.0, 87.8),
    ),
    "multiregion": System(
        "multi-region [35]",
        "multiregion_r50",
        light_changes={"backbone": "multiregion", "backbone_options": ON_LIGHT_TRUNK},
        paper=_paper(95.3, 93.4, 91.7),
    ),
    "cirnet": System(
        "CIR-Net [28]",
        "cirnet",
        light_changes={"backbone": "cirnet"},
        paper=_paper(96.0, 83.3, 86.5),
        precision="fp32",  # its batch-norm gives NaN in bf16 on a processor, now and then, on maps of 2x1 (torch 2.14.1)
    ),
    "hu2019": System("Hu 2019 [29]", "hu2019", light_changes={"backbone": "hu2019"}, paper=_paper(94.7, 93.7, 87.7)),
    "kernelpool": _on_light_trunk("kernel pooling [22]", "kernelpool_r50", "kernelpool", {}),
    "maskcnn": _on_light_trunk("Mask-CNN [26]", "maskcnn_r50", "maskcnn", {}),
    "racnn": _on_light_trunk("RA-CNN [25]", "racnn_r50", "racnn", {"choice_epochs": 2}),
    "varifocal": _on_light_trunk(
        "Varifocal-Net [17]",
        "varifocal_r50",
        "varifocal",
        {"box_epochs": 1, "network_epochs": 6},
        box_epochs=10,
        network_epochs=45,
    ),
    "hrnet": _on_light_trunk("high-resolution net [16]", "hrnet_w18_joints", "hrnet", {"trunk": "timm/hrnet_w18_small"}),
    "poletti2012": System("Poletti 2012", "poletti2012", light="poletti2012", classical=True),
    "wang2009": System("Wang 2009 [30]", "wang2009", light="wang2009", paper={"qband": 94.0}, classical=True),
    "control": System("control: GRiCoL's trunk, no grid", "r50half"),
    "gril": System("GRiL", "gril_r50half", light="gril_r18half_128", paper=_paper(98.3, 95.8, 95.9)),
    "gricol": System("GRiCoL, N = 3", "gricol_r50half_n3", light=GRICOL, paper=_paper(99.5, 97.2, 97.3)),
    "gricol_nooverlap": System(
        "GRiCoL without overlap",
        "gricol_r50half_n3_nooverlap",
        light=GRICOL,
        light_changes={"splitter": "tiles"},
        paper=_paper(98.1, 96.2, 95.3),
    ),
    "gricol_n2": System(
        "GRiCoL, N = 2", "gricol_r50half_n2", light=GRICOL, light_changes={"grid": 2}, paper=_paper(98.5, 96.1, 95.8)
    ),
    "gricol_n4": System(
        "GRiCoL, N = 4", "gricol_r50half_n4", light=GRICOL, light_changes={"grid": 4}, paper=_paper(99.2, 97.8, 97.6)
    ),
    **{f"gricol_cut{stage}": _cut_after(stage) for stage in range(1, 4)},
}
TABLE1 = ("gricol", "gricol_nooverlap")
TABLE2 = ("gricol_n2", "gricol", "gricol_n4")
CHEAPER = ("gricol", *(f"gricol_cut{stage}" for stage in range(1, 4)))
INTRODUCTION = ("varifocal", "hrnet", "kernelpool", "racnn", "maskcnn")
TABLE3 = ("mmhpn", "multiregion", "cirnet", "resnet50", "hu2019", "wang2009", "poletti2012", *INTRODUCTION, "gril", "gricol")
FULL_ONLY = ("control",)  # at the light budget it is the same as `resnet50`


@dataclass(frozen=True)
class Budget:
    """How much is trained.

    Attributes:
        recipe: the one recipe of every network.
        tested: which of the five folds are tested on; the light budget tests one.
        seeds: of weights, order and augmentation.
    """

    recipe: Recipe
    tested: tuple[int, ...]
    seeds: tuple[int, ...]


def _without_bends(recipe: Recipe) -> Recipe:
    """Return a recipe whose augmentation does not bend, so that only the grid can help against bending (see bend.py)."""
    return dataclasses.replace(recipe, augment=dataclasses.replace(recipe.augment, bend=0.0, elastic=0.0, arc=0.0))


BUDGETS = {
    "light": Budget(_without_bends(get_recipe("light", epochs=8, ema_decay=0.99)), (0,), (0, 1, 2)),
    "full": Budget(_without_bends(get_recipe("large")), (0, 1, 2, 3, 4), (0, 1, 2)),
}
FOLDS, FOLD_SEED = 5, 0


def of_budget(system: System, budget: str) -> tuple[str, dict[str, Any]]:
    """Return the model's name and the changes to it."""
    return (system.full, dict(system.full_changes)) if budget == "full" else (system.light, dict(system.light_changes))
