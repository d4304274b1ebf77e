"""Parameters and Gflops of every comparison system beside reference figures.

    python -m benchmarks.paper.baselines [NAME ...]

Writes results/paper/baselines.csv and .md. Gflops are multiply-adds (one multiply-add = 1), counted by fvcore at the stated
image size with one channel and 24 classes, batch-norm and pooling included, as it runs at inference; parameters are the full
form's. The reference figures were computed from the published descriptions before this package had the systems; the note says
which of them are approximate. Names that are not given keep their rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import gricol_zoo
from benchmarks.common.record import kept, write
from gricol_zoo.models.flops import Cost

REFERENCES: dict[str, tuple[str, float | None, float | None, str]] = {
    "resnet50": ("ResNet50, Table 3", 23.551, 16.67, ""),
    "mmhpn_r50": ("[34], Table 3", 31.47, 25.37, ""),
    "multiregion_r50": ("[35], Table 3", 23.80, 25.73, ""),
    "cirnet": ("CIR-Net [28], Table 3", 55.26, None, ""),
    "cirnet_pooled": ("CIR-Net [28], pooled", 54.34, 6.48, ""),
    "hu2019": ("[29], Table 3", 8.015, 0.452, ""),
    "sharma2017": ("[13], introduction", 0.686, 0.594, ""),
    "siamese2017": ("[14], introduction", None, None, "no reference"),
    "ntsnet_r50": ("NTS-Net [20], introduction", 26.2, None, "approximate; the whole and region classifiers are 0.1 M"),
    "bcnn_vgg16": ("bilinear CNN [23], introduction", 21.0, None, ""),
    "dcl_r50": ("DCL [24], introduction", 23.66, 16.7, ""),
    "abn_r50": ("ABN [27], method", 38.6, None, "approximate"),
    "kernelpool_r50": ("kernel pooling [22], introduction", 23.85, 16.67, "Fourier transforms are not counted"),
    "maskcnn_r50": ("Mask-CNN [26], introduction", None, None, "no reference: its authors' networks are VGG-16"),
    "racnn_r50": ("RA-CNN [25], introduction", None, None, "no reference: its authors' networks are VGG-19"),
    "varifocal_r50": ("Varifocal-Net [17], introduction", None, None, "no reference"),
    "hrnet_w18_joints": ("high-resolution net with joints [16], introduction", 19.3, 5.62, ""),
}
"""Name -> the paper's system, parameters in millions, Gflops, a note."""
COLUMNS = {
    "name": ("model", ""),
    "system": ("the paper's system", ""),
    "image_size": ("image", ""),
    "params_m": ("parameters, M", ".3f"),
    "params_reference": ("reference", ""),
    "params_difference": ("difference, %", ".2f"),
    "gflops": ("Gflops (multiply-adds)", ".3f"),
    "gflops_reference": ("reference", ""),
    "gflops_difference": ("difference, %", ".2f"),
    "note": ("note", ""),
}


def count_model(name: str) -> Cost:
    """Count a model at its own image size."""
    return gricol_zoo.count(gricol_zoo.create_model(name))


def difference(value: float, reference: float | None) -> float | str:
    """Return by how many percent a figure differs from its reference, "" where there is none."""
    return "" if reference is None else round(100 * (value / reference - 1), 2) + 0.0  # no minus zero


def rows(names: Sequence[str] = tuple(REFERENCES)) -> list[dict[str, object]]:
    """Count some systems, or all."""
    out: list[dict[str, object]] = []
    for name in names:
        system, params, gflops, note = REFERENCES[name]
        cost = count_model(name)
        out.append(
            {
                "name": name,
                "system": system,
                "image_size": "x".join(map(str, cost.image_size)),
                "params_m": round(cost.params, 3),
                "params_reference": "" if params is None else params,
                "params_difference": difference(cost.params, params),
                "params_deployed_m": round(cost.params_deployed, 3),
                "gflops": round(cost.lower, 3),
                "gflops_reference": "" if gflops is None else gflops,
                "gflops_difference": difference(cost.lower, gflops),
                "note": note,
            }
        )
    return out


def main() -> None:
    """Count them and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *REFERENCES], metavar="NAME", help="default: all")
    names = parser.parse_args().names or list(REFERENCES)
    counted = [*kept("paper/baselines", names), *rows(names)]
    write("paper/baselines", sorted(counted, key=lambda row: list(REFERENCES).index(row["name"])), COLUMNS)


if __name__ == "__main__":
    main()
