"""Write the card of every staged model, hub/NAME.TAG/README.md, the overview, MODEL_CARD.md, and README's table; no result is typed.

    python -m hub.card

Numbers come from each config.json and from the files in benchmarks/results/released/, whose weights' sha256 must be the staged one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gricol_zoo
from gricol_zoo.data.rows import read_csv
from gricol_zoo.models.flops import count
from gricol_zoo.weights.card import RESEARCH, Score, make_card, what_it_is

ROOT = Path(__file__).parent.parent
HUB = ROOT / "hub"
RESULTS = ROOT / "benchmarks" / "results" / "released"

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

BEGIN, END = "<!-- weights: python -m hub.card -->", "<!-- end of weights -->"
KNOWN_FOR = {"qband": "Q-band", "pki3": "G-band (Pki-3)"}
PAPER = {
    ("reconstruction", "qband"): "GRiCoL, 97.3 %",
    ("reconstruction", "pki3"): "GRiCoL, 99.5 %, on another G-band set",
    ("per_cell", "qband"): "GRiL, 95.9 %",
    ("per_cell", "pki3"): "GRiL, 98.3 %, on another G-band set",
}
"""What the paper's Table 3 gives for the same kind of model, by its head."""


HUB_SETS: dict[str, tuple[str, str]] = {}
"""Tag -> (id, task id) of the set as a benchmark on the Hub, by which the Hub ranks models. Neither set is on the Hub, and its
terms do not say that it may be put there, so this is empty: until then the results stand in the card's ``model-index`` alone."""

EVAL_RESULTS = ".eval_results"


def percent(value: float | str) -> str:
    """Format a fraction as percent."""
    return f"{100 * float(value):.1f} %"


def staged() -> list[str]:
    """Return the names of the staged weights."""
    return sorted(folder.name for folder in HUB.iterdir() if (folder / "config.json").is_file())


def info_of(name: str) -> dict[str, Any]:
    """Return what came with the weights."""
    return dict(json.loads((HUB / name / "config.json").read_text())["gricol_zoo"])


def reports(name: str) -> list[dict[str, Any]]:
    """Return the reports of a name: test before val, lower branch before all classifiers."""
    found = [json.loads(file.read_text()) for file in RESULTS.glob(f"{name}.*.json")]
    return sorted((check(report, name) for report in found), key=lambda r: (r["part"] != "test", r["inference"] != "lower"))


def check(row: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a result if it is of the staged weights.

    Raises:
        SystemExit: it is of other weights.
    """
    if row["weights_sha256"] != info_of(name)["sha256"]:
        raise SystemExit(f"a result of {name} is of other weights: run the benchmark again")
    return row


def table(file: str, name: str) -> list[dict[str, str]]:
    """Return the lines of a results table that are of a name."""
    return [check(row, name) for row in read_csv(RESULTS / f"{file}.csv") if row["name"] == name]


def eval_results(name: str) -> str:
    """Return the Hub's record of a name's test result (huggingface.co/docs/hub/eval-results); "" where the Hub has no such set."""
    tag = name.rpartition(".")[2]
    if tag not in HUB_SETS:
        return ""
    report, (dataset, task) = reports(name)[0], HUB_SETS[tag]
    notes = f"{report['part']} part of {report['split']}, by case or cell, single images"
    return f"""- dataset:
    id: {dataset}
    task_id: {task}
  value: {report["accuracy"]:.6f}
  notes: {notes}
"""


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
    row = table("trust", name)[0]
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


def card(name: str) -> str:
    """Return the README of one repository."""
    tag, report = name.rpartition(".")[2], reports(name)[0]
    turned = {row["orientation"]: percent(row["accuracy"]) for row in table("orientation", name)}
    model: Any = gricol_zoo.create_model(f"local-dir:{HUB / name}", pretrained=True)
    use = f"""`gricol-zoo predict crops/ --model hf-hub:gricol-zoo/{name} --out predictions.csv` reads image files, with the preprocessing that is in
`config.json`: one chromosome a crop, lighter or darker than its background, at about the training set's scale. It is turned upright by its principal
axis, not upside down: val accuracy as the crops are {turned["as they are"]}, mirrored {turned["mirrored"]}, short arm down {turned["short arm down"]}."""
    limits = f"""One laboratory's images, one staining, one microscope's scale; sex of the person known, age and disease not. Markers, derivatives, ring and
dicentric chromosomes, overlapping or badly cut crops and other species are answered with one of the 24 classes all the same. The figures are for
images of new {"cells" if tag == "qband" else "cases"} of the same set, not for another laboratory's."""
    sections = {
        "Results": f"{results(name)}\n{other_cameras(name)}",
        "Can the probability be trusted?": trust(name),
        "Data and training": f"{TERMS[tag]}\n{start_terms(name)}\n{training(name)}\n\n{BOTH}\n\n{memory(name)}",
        "Limits": limits,
    }
    intro = f"A classifier of single {KNOWN_FOR[tag]} chromosomes into the 24 human classes, of the model zoo gricol_zoo."
    data = f"{KNOWN_FOR[tag]}, {report['part']} part of {report['split']}, by case or cell"
    score = Score(data, tag, report["accuracy"])
    return make_card(name, f"gricol-zoo/{name}", intro, what_it_is(model, model.info), use, sections, score, "apache-2.0")


def overview() -> str:
    """Return MODEL_CARD.md."""
    lines = [
        "# Model card",
        "",
        "Generated by `python -m hub.card`, as is the card of each model in `hub/`.",
        "",
        RESEARCH,
        "",
        "Test part, single images, split by case or cell, lower branch alone, fp32; intervals by bootstrap over cases or cells:",
        "",
        "| weights | parameters (M) | Gflops (multiply-adds), lower | images | accuracy | 95 % interval | ECE | card |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in staged():
        report = reports(name)[0]
        cost = count(gricol_zoo.create_model(f"local-dir:{HUB / name}"))  # type: ignore[arg-type]
        low, high = report["accuracy_ci95"]
        lines.append(
            f"| `{name}` | {cost.params:.2f} | {cost.lower:.3f} | {report['images']} | {percent(report['accuracy'])} "
            f"| {percent(low)} to {percent(high)} | {report['ece']:.3f} | [hub/{name}](hub/{name}/README.md) |"
        )
    lines += [
        "",
        "Each loads by its name, `create_model(NAME, pretrained=True)`, after `pip install .` in a clone that stays in place.",
        "",
    ]
    lines += [
        "## What the files tell of single images",
        "",
        "Weights with a `pixels.bin` record each training image by a hash of its pixels: whoever holds an image can test whether it was",
        "trained on. An image cannot be had back from it.",
        "",
    ]
    lines += ["## Data", "", TERMS["qband"], "", TERMS["pki3"], "", BOTH, ""]
    return "\n".join(lines)


def short_table() -> str:
    """Return the table of README: a line for each of the weights, the newest canvas first."""
    lines = [
        "| weights | what it is | test part, single images | short arm's end | Gflops | where |",
        "|---|---|---|---|---|---|",
    ]
    kinds = {"none": "control", "per_cell": "GRiL", "reconstruction": "GRiCoL"}
    for name in sorted(staged(), key=lambda name: (-info_of(name)["spec"]["image_size"][0], name)):
        arch, _, tag = name.rpartition(".")
        report, spec = reports(name)[0], info_of(name)["spec"]
        low, high = report["accuracy_ci95"]
        size = "x".join(map(str, spec["image_size"]))
        what = f"{KNOWN_FOR[tag]}, {kinds[spec['head']]}, {size}, preparation {spec['preprocess'].get('version', 1)}"
        arm = report.get("polarity_accuracy")
        cost = count(gricol_zoo.create_model(f"local-dir:{HUB / name}")).lower  # type: ignore[arg-type]
        place = "package" if gricol_zoo.WEIGHTS[arch][tag].packaged else "clone"
        score = f"{percent(report['accuracy'])} ({percent(low)} to {percent(high)})"
        lines.append(f"| `{name}` | {what} | {score} | {'' if arm is None else percent(arm)} | {cost:.3f} | {place} |")
    return "\n".join(lines)


def readme() -> str:
    """Return README.md with its table of weights as the results have it."""
    before, begin, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{short_table()}\n{end}{after}"


def cards() -> dict[Path, str]:
    """Return every card, and README: file -> text."""
    own = {HUB / name / "README.md": card(name) for name in staged()}
    ranked = {HUB / name / EVAL_RESULTS / f"{name.rpartition('.')[2]}.yaml": eval_results(name) for name in staged()}
    return {
        **own,
        **{file: text for file, text in ranked.items() if text},
        ROOT / "MODEL_CARD.md": overview(),
        ROOT / "README.md": readme(),
    }


def main() -> None:
    """Write them."""
    for file, text in cards().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
