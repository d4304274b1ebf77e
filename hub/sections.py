"""The sections of a released model's card. All numbers come from ``hub.results``; none is typed by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.common.recipes import with_starts
from benchmarks.common.sets import NAMES
from gricol_zoo.commands.common import count_of
from gricol_zoo.data.rows import read_csv
from gricol_zoo.spec import DENVER_GROUPS
from hub.results import RESULTS, info_of, percent, reports, staged, table

TERMS = {
    "qband": """BioImLab Q-band: E. Poletti, E. Grisan, A. Ruggeri, "A modular framework for the automatic classification of chromosomes in
Q-band images", *Computer Methods and Programs in Biomedicine* 105 (2012) 120-130. Of its 5474 images (119 cells), 4370 images of 95
cells were used; the rest is set aside. The set does not say which cells belong to one person, so the split is by cell.""",
    "pki3": """Passau Pki-3: G. Ritter, L. Gao, "Automatic segmentation of metaphase cells based on global context and variant analysis",
*Pattern Recognition* 41 (2008) 38-55. G-banded appearance, white background; 22759 images of 495 cells of 298 cases were used; the rest is set
aside. The split is by case. This is not the paper's G-band set (CIR), which was not available.""",
}
BOTH = """BioImLab's authors say the data "are publicly available for download"; no licence text was found. For Pki-3, no terms were found.
The images are therefore neither in the repository nor in the package; weights trained on them are released for research. Code and weights: Apache-2.0,
within those terms."""

LIMITS = """Each set comes from one laboratory, with one stain and one microscope scale. The sex of the persons is known; age, disease and tissue are
not. A model always answers with one of the 24 classes, also for marker, derivative, ring and dicentric chromosomes, for overlapping or badly cut
crops, and for other species. The labels are those of the data sets; nobody reviewed the metaphases again. The models were not compared with a human
expert."""

KNOWN_FOR = {"qband": "Q-band", "pki3": "G-band (Pki-3)"}
PAPER = {
    ("reconstruction", "qband"): "GRiCoL, 97.3 %",
    ("reconstruction", "pki3"): "GRiCoL, 99.5 %, on another G-band set",
    ("per_cell", "qband"): "GRiL, 95.9 %",
    ("per_cell", "pki3"): "GRiL, 98.3 %, on another G-band set",
}
"""(Head, tag) -> the accuracy that Table 3 of the paper reports for the same kind of model."""


def training(name: str) -> str:
    """Return the paragraph on how the weights were trained."""
    info = info_of(name)
    about, recipe = info["training"], info["training"]["recipe"]
    what, *starts = with_starts(name)
    sets = sorted({one["images"] for one in starts})
    parts = f"the train part{'s' if len(sets) > 1 else ''} of {' and '.join(NAMES[one] for one in sets)}"
    start = f", starting from `{what['init']}` (trained on {parts})" if starts else ""
    return f"""Trained on the {about["images"]} images of the train part of `{about["split"]}`{start}: real images only, {count_of(recipe["epochs"], "epoch")}, seed
{recipe["seed"]}, commit {about["commit"]}. The released weights are the averaged weights after the last epoch; no checkpoint was selected.
Recipe: `benchmarks/recipes/{name}.json`. To train them again: `python -m benchmarks.make.train_weights {name} --data FOLDER`. Temperature {info["temperature"]} and review threshold {info["review_threshold"]}
were fitted on the val part ({info["val"]["images"]} images)."""


def memory(name: str) -> str:
    """Return the paragraph on what the files reveal about single training images."""
    pixels = info_of(name)["training"].get("pixels")
    if pixels is None:
        return (
            "The training images are recorded by cell or case only, not by pixels, so a renamed copy of one is not recognised."
        )
    return f"""`pixels.bin` has the first 8 bytes of a hash of the pixels of each of the {pixels["images"]} distinct images that these weights and
their starting weights were trained on. An image cannot be recovered from it, but anyone who has an image can test whether it was used for training;
scoring does so (`seen_in_training`)."""


def start_terms(name: str) -> str:
    """Cite the set that the starting weights were trained on, if it is a different one; else return ""."""
    started = name.endswith(".qband") and info_of(name)["training"]["init_sha256"]
    return f"\nThe starting weights were trained on another set. {TERMS['pki3']}\n" if started else ""


def results(name: str) -> str:
    """Return the table of scores and the command that reproduces them."""
    lines = [
        "| part | inference | images | cells | accuracy | 95 % interval | macro F1 | cells without an error | ECE |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for report in reports(name):
        low, high = report["accuracy_ci95"]
        lines.append(
            f"| {report['part']} | {report['inference']} | {report['images']} | {report['cells']} | {percent(report['accuracy'])} "
            f"| {percent(low)} to {percent(high)} | {report['macro_f1']:.3f} | {report['perfect_cells']} | {report['ece']:.3f} |"
        )
    tag, split = name.rpartition(".")[2], reports(name)[0]["split"]
    papers = PAPER.get((info_of(name)["spec"]["head"], tag))
    beside = f" The paper reports: {papers} (image-level 5-fold, 448x456, its own training)." if papers else ""
    return (
        "\n".join(lines)
        + f"""

Single images, fp32, split by case or cell, interval by bootstrap over cases or cells. The test part was read once, on these weights. To reproduce:
`gricol-zoo validate --data {tag}.zip --split benchmarks/splits/{split} --part test --model local-dir:hub/{name} --out report.json`
(`--full` for all classifiers).{beside}"""
    )


def other_cameras(name: str) -> str:
    """Return the accuracy of the short arm's end and the accuracy under simulated cameras, as far as measured."""
    lines = []
    arm = reports(name)[0].get("polarity_accuracy")
    if arm is not None:
        lines.append(
            f"The short arm's end is found correctly in {percent(arm)} of the test part (each image as it is and rotated by 180 degrees)."
        )
    file = RESULTS / "robustness_summary.csv"
    for row in table("robustness_summary", name) if file.exists() else []:
        worst = f"{percent(row['least'])} in the worst ({row['worst']})"
        worse = f"More than two percentage points are lost with: {row['worse']}. " if row["worse"] else ""
        lines.append(
            f"Simulated cameras, preparation {row['preparation']} ({row['cells']} cells of the {row['part']} part, scaled and assigned per "
            f"cell): {percent(row['untouched'])} unchanged, {percent(row['assigned'])} on average over {row['conditions']} "
            f"conditions, and {worst}. {worse}Cells with a warning: {row['lost_warned']} of {row['lost']} that lost ten points or more, "
            f"{row['kept_warned']} of {row['kept']} that lost less than five, and {row['odd_warned']} of {row['odd']} with unusual images "
            f"(half a chromosome, two in one crop, the same image twice)."
        )
    return "\n".join(lines)


def trust(name: str) -> str:
    """Return what is known about calibration and the review flag, and how uncertain the weights are on unsuitable inputs."""
    rows = table("trust", name)
    if not rows:
        return "It is calibrated on the val part; how well that holds on other images has not been measured for these weights."
    row = rows[0]
    lines = [
        f"Calibration on the {row['part']} part: ECE {float(row['ece_before']):.3f} before temperature scaling, {float(row['ece_after']):.3f} after. "
        f"`predict` marks an image for review below a probability of {float(row['review_threshold']):.3f} (chosen so that four of five wrong val "
        f"images lie below it). {percent(row['coverage'])} are not marked, and {percent(row['error_accepted'])} of those are wrong; of the "
        f"marked images, {percent(row['error_reviewed'])} are wrong.",
        "",
        "Inputs on which the model should be uncertain, compared with the part's own images:",
        "",
        "| input | images | AUROC | accepted at 95 % coverage | not marked for review |",
        "|---|---|---|---|---|",
    ]
    for kind in table("trust_outliers", name):
        shares = f"{percent(kind['false_accepts'])} | {percent(kind['not_reviewed'])}"
        lines.append(f"| {kind['input']} | {kind['images']} | {float(kind['auroc']):.3f} | {shares} |")
    return "\n".join(lines)


def recalled(report: dict[str, Any], classes: Iterable[str]) -> tuple[int, float]:
    """Return the number of images of these classes in a report, and the fraction of them that were classified correctly."""
    rows = [report["per_class"][one] for one in classes]
    images = sum(row["images"] for row in rows)
    return images, sum(row["images"] * row["recall"] for row in rows) / images


def subgroups(name: str) -> str:
    """Return the scores on the test part by Denver group, and by metaphase cell as far as measured."""
    report = reports(name)[0]
    lines = [
        f"By Denver group, {report['part']} part, single images; correct means the right class, not only the right group:",
        "",
        "| group | classes | images | correct | weakest class | correct in that class |",
        "|---|---|---|---|---|---|",
    ]
    for group, classes in DENVER_GROUPS.items():
        images, share = recalled(report, classes)
        weakest = min(classes, key=lambda one: report["per_class"][one]["recall"])
        recall = percent(report["per_class"][weakest]["recall"])
        lines.append(f"| {group} | {', '.join(classes)} | {images} | {percent(share)} | {weakest} | {recall} |")
    cells = f"Metaphase cells without an error: {report['perfect_cells']} of {report['cells']} by single images"
    together = [row for row in read_csv(RESULTS / "karyotype.csv") if row["name"] == name and "test part" in row["what"]]
    cells += "".join(
        f", {int(row['cells']) - int(row['cells_with_error'])} of {row['cells']} with the classes of a cell assigned together"
        for row in together
    )
    lines += ["", f"{cells}. Not measured: by sex, age, disease, tissue or laboratory."]
    return "\n".join(lines)


def by_stain() -> str:
    """Return the range of the test scores over all released weights of each set, by Denver group."""
    lines = ["| group | classes | " + " | ".join(f"{KNOWN_FOR[tag]}, correct" for tag in TERMS) + " |", "|---|---|---|---|"]
    for group, classes in DENVER_GROUPS.items():
        spans = []
        for tag in TERMS:
            shares = [recalled(reports(name)[0], classes)[1] for name in staged() if name.endswith(f".{tag}")]
            spans.append(f"{percent(min(shares))} to {percent(max(shares))}")
        lines.append(f"| {group} | {', '.join(classes)} | {' | '.join(spans)} |")
    before = """By stain and Denver group, test part, single images: the lowest and the highest score over the released weights of that stain. Scores by
class, cell and camera are in each model's card. Not measured: by sex, age, disease, tissue or laboratory."""
    return "\n".join([before, "", *lines])


def limits(name: str) -> str:
    """Return the paragraph on what the scores do not show."""
    new = "cells" if name.endswith(".qband") else "cases"
    return f"{LIMITS}\nThe scores are for images of new {new} of the same set, not for images of another laboratory."
