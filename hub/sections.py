"""The sections of a released model's card. Numbers come from ``hub.results``; none is typed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gricol_zoo.data.rows import read_csv
from gricol_zoo.spec import DENVER_GROUPS
from hub.results import RESULTS, ROOT, info_of, percent, reports, staged, table

TERMS = {
    "qband": """BioImLab Q-band: E. Poletti, E. Grisan, A. Ruggeri, "A modular framework for the automatic classification of chromosomes in
Q-band images", *Computer Methods and Programs in Biomedicine* 105 (2012) 120-130. Of its 5474 images (119 cells), 4370 of 95 cells were used;
the rest is kept aside. Persons are not known, so the split is by cell.""",
    "pki3": """Passau Pki-3: G. Ritter, L. Gao, "Automatic segmentation of metaphase cells based on global context and variant analysis",
*Pattern Recognition* 41 (2008) 38-55. G-banded appearance, white background; 22759 images of 495 cells of 298 cases were used, the rest is kept
aside. The split is by case. It is not the paper's G-band set (CIR), which could not be had.""",
}
BOTH = """BioImLab's authors say the data "are publicly available for download"; no licence text was found. Pki-3: no terms found. So the images
are in neither the repository nor the package; weights trained on them are released for research. Code and weights: Apache-2.0, within those terms."""

LIMITS = """One laboratory's images a set, one staining, one microscope's scale; sex of the person known, age, disease and tissue not. Markers,
derivatives, ring and dicentric chromosomes, overlapping or badly cut crops and other species are answered with one of the 24 classes all the
same. The labels are the data sets' own; nobody looked at the metaphases again. The models were not compared with a person."""

KNOWN_FOR = {"qband": "Q-band", "pki3": "G-band (Pki-3)"}
PAPER = {
    ("reconstruction", "qband"): "GRiCoL, 97.3 %",
    ("reconstruction", "pki3"): "GRiCoL, 99.5 %, on another G-band set",
    ("per_cell", "qband"): "GRiL, 95.9 %",
    ("per_cell", "pki3"): "GRiL, 98.3 %, on another G-band set",
}
"""What the paper's Table 3 gives for the same kind of model, by its head."""


def training(name: str) -> str:
    """Say how it was trained."""
    info = info_of(name)
    about, recipe = info["training"], info["training"]["recipe"]
    what = json.loads((ROOT / "benchmarks" / "recipes" / f"{name}.json").read_text())
    start = f", starting from `{what['init']}` (Pki-3's train part)" if about["init_sha256"] else ""
    return f"""Trained on the {about["images"]} images of the train part of `{about["split"]}`{start}; real images only, {recipe["epochs"]} epochs, seed
{recipe["seed"]}, commit {about["commit"]}; averaged weights after the last epoch, nothing selected. Recipe: `benchmarks/recipes/{name}.json`;
again: `python -m benchmarks.make.train_weights {name} --data FOLDER`. Temperature {info["temperature"]} and review threshold {info["review_threshold"]}
were fitted on the val part ({info["val"]["images"]} images)."""


def memory(name: str) -> str:
    """Say what the files tell of single training images."""
    pixels = info_of(name)["training"].get("pixels")
    if pixels is None:
        return "Which images it was trained on is recorded by cell or case only, not by pixels: a renamed copy of one is not known again."
    return f"""`pixels.bin` has the first 8 bytes of a hash of the pixels of each of the {pixels["images"]} distinct images that it and its start were
trained on. An image cannot be had back from it, but whoever holds one can test whether it was trained on; scoring does (`seen_in_training`)."""


def start_terms(name: str) -> str:
    """Cite the set that the start was trained on, where it is another one."""
    started = name.endswith(".qband") and info_of(name)["training"]["init_sha256"]
    return f"\nThe start was trained on another set. {TERMS['pki3']}\n" if started else ""


def results(name: str) -> str:
    """Return the table of scores and the commands that give them back."""
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
    beside = f" The paper's figure: {papers} (image-level 5-fold, 448x456, its own training)." if papers else ""
    return (
        "\n".join(lines)
        + f"""

Single images, fp32, split by case or cell, interval by bootstrap over cases or cells. The test part was read once, on these weights. Again:
`gricol-zoo validate --data {tag}.zip --split benchmarks/splits/{split} --part test --model local-dir:hub/{name} --out report.json`
(`--full` for all classifiers).{beside}"""
    )


def other_cameras(name: str) -> str:
    """Say what other cameras, files and hands cost, and how often the short arm's end is told rightly, as far as measured."""
    lines = []
    arm = reports(name)[0].get("polarity_accuracy")
    if arm is not None:
        lines.append(
            f"The short arm's end is told rightly in {percent(arm)} of the test part, each image as it lies and turned."
        )
    file = RESULTS / "robustness_summary.csv"
    for row in table("robustness_summary", name) if file.exists() else []:
        worst = f"the worst is {row['worst']} with {percent(row['least'])}"
        worse = f"More than two points are lost with: {row['worse']}. " if row["worse"] else ""
        lines.append(
            f"Other cameras, by preparation {row['preparation']} ({row['cells']} cells of the {row['part']} part, scaled and assigned by "
            f"cell): {percent(row['untouched'])} untouched, {percent(row['assigned'])} on average over {row['conditions']} "
            f"conditions, {worst}. {worse}Of the cells that lost ten points or more, {row['lost_warned']} of {row['lost']} were warned of; "
            f"of those that lost less than five, {row['kept_warned']} of {row['kept']}; of cells with something odd among their images (half a "
            f"chromosome, two in one crop, a picture twice), {row['odd_warned']} of {row['odd']}."
        )
    return "\n".join(lines)


def trust(name: str) -> str:
    """Return what is known of the probability."""
    rows = table("trust", name)
    if not rows:
        return "It is calibrated on the val part; how far that holds on other images has not been measured for these weights."
    row = rows[0]
    lines = [
        f"Calibration on the {row['part']} part: ECE {float(row['ece_before']):.3f} before the temperature, {float(row['ece_after']):.3f} after. "
        f"`predict` marks an image for review below a probability of {float(row['review_threshold']):.3f} (set so that four of five wrong val images "
        f"lie below): {percent(row['coverage'])} are not marked, and of those {percent(row['error_accepted'])} are wrong; of the "
        f"marked, {percent(row['error_reviewed'])}.",
        "",
        "Inputs that it should be unsure of, against the part's own images:",
        "",
        "| input | images | AUROC | accepted at 95 % coverage | not marked for review |",
        "|---|---|---|---|---|",
    ]
    for kind in table("trust_outliers", name):
        shares = f"{percent(kind['false_accepts'])} | {percent(kind['not_reviewed'])}"
        lines.append(f"| {kind['input']} | {kind['images']} | {float(kind['auroc']):.3f} | {shares} |")
    return "\n".join(lines)


def recalled(report: dict[str, Any], classes: Iterable[str]) -> tuple[int, float]:
    """Return how many images of these classes a report has, and the share of them that got their own class."""
    rows = [report["per_class"][one] for one in classes]
    images = sum(row["images"] for row in rows)
    return images, sum(row["images"] * row["recall"] for row in rows) / images


def subgroups(name: str) -> str:
    """Return the test part's scores by group of chromosomes, and by metaphase cell as far as measured."""
    report = reports(name)[0]
    lines = [
        f"By Denver group, {report['part']} part, single images; right means the image's own class, not only its group:",
        "",
        "| group | classes | images | right | weakest class | of its images right |",
        "|---|---|---|---|---|---|",
    ]
    for group, classes in DENVER_GROUPS.items():
        images, share = recalled(report, classes)
        weakest = min(classes, key=lambda one: report["per_class"][one]["recall"])
        least = percent(report["per_class"][weakest]["recall"])
        lines.append(f"| {group} | {', '.join(classes)} | {images} | {percent(share)} | {weakest} | {least} |")
    cells = f"By metaphase cell: {report['perfect_cells']} of {report['cells']} are without an error by single images"
    together = [row for row in read_csv(RESULTS / "karyotype.csv") if row["name"] == name and "test part" in row["what"]]
    cells += "".join(
        f", {int(row['cells']) - int(row['cells_with_error'])} of {row['cells']} where a cell is assigned together"
        for row in together
    )
    lines += ["", f"{cells}. Not measured: by sex, age, disease, tissue or laboratory."]
    return "\n".join(lines)


def by_stain() -> str:
    """Return the span of the test scores of each set, by group of chromosomes, over all released weights."""
    lines = ["| group | classes | " + " | ".join(f"{KNOWN_FOR[tag]}, right" for tag in TERMS) + " |", "|---|---|---|---|"]
    for group, classes in DENVER_GROUPS.items():
        spans = []
        for tag in TERMS:
            shares = [recalled(reports(name)[0], classes)[1] for name in staged() if name.endswith(f".{tag}")]
            spans.append(f"{percent(min(shares))} to {percent(max(shares))}")
        lines.append(f"| {group} | {', '.join(classes)} | {' | '.join(spans)} |")
    before = """By stain and Denver group, test part, single images: the least and the largest over the released weights of that stain. By class, by
cell and by camera: each model's card. Not measured: by sex, age, disease, tissue or laboratory."""
    return "\n".join([before, "", *lines])


def limits(name: str) -> str:
    """Say what the figures cannot show."""
    new = "cells" if name.endswith(".qband") else "cases"
    return f"{LIMITS}\nThe figures are for images of new {new} of the same set, not for another laboratory's."
