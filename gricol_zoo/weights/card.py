"""A model's card, the README.md of its repository on the Hub: what it is, how to load it, its data, its scores.

``make_card`` makes every card. Those of the released weights say more (``hub/card.py``); the card of a user's own model says
what its config records (``card_of``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.flops import count
from gricol_zoo.models.grid import TwoBranchModel
from gricol_zoo.models.info import WeightsInfo

RESEARCH = (
    "Research use only: not a medical device, not for clinical decisions. "
    "For people who develop and compare methods of chromosome\nclassification."
)
INTENDED = """To compare methods of chromosome classification; to sort crops of single human chromosomes, one to a file, for a
person who checks the result; to start a training from. Users know the banding of their images, and look at what is marked
for review."""
OUT_OF_SCOPE = """- Diagnosis, reports on patients, any clinical decision; telling a person's sex or identity.
- Structural or numerical findings: an abnormal chromosome gets one of the normal classes, and one cell is not a karyotype.
- Whole metaphases, touching or overlapping chromosomes, other bandings, FISH, other species."""
UNKNOWN = """Known only for data like those above. Not recorded: the terms of the data, how well subgroups do (by case, sex,
staining, laboratory), and how far the labels can be trusted. Whoever publishes these weights should say so here."""
TAGS = ("chromosome", "karyotyping", "cytogenetics", "timm")


class Score(NamedTuple):
    """An accuracy, for the Hub's table: the data it was measured on, a short word for these, and the fraction (0..1)."""

    data: str
    kind: str
    accuracy: float


def make_card(
    name: str, repo: str, intro: str, about: str, use: str, sections: Mapping[str, str], score: Score | None, license: str = ""
) -> str:
    """Return a card.

    Args:
        name: name of the model.
        repo: "org/name" on the Hub.
        intro: one sentence on what it classifies.
        about: the network in a sentence or two (``what_it_is``).
        use: how to use it, below the line that loads it.
        sections: heading -> text.
        score: an accuracy, or None.
        license: license of the weights, by the Hub's short name; "" leaves it out.
    """
    body = "\n\n".join(f"## {heading}\n\n{text.strip()}" for heading, text in sections.items())
    return f"""{front(name, score, license)}
# {name}

{intro}
{RESEARCH}

{about}

## Load it

```python
import gricol_zoo

model = gricol_zoo.create_model("hf-hub:{repo}", pretrained=True, deployed=True)
```

{use}

## Intended use

{INTENDED}

## Out of scope

{OUT_OF_SCOPE}

{body}
"""


def front(name: str, score: Score | None, license: str) -> str:
    """Return the YAML that the Hub reads."""
    lines = ["---"]
    if license:
        lines += [f"license: {license}"]
    lines += ["library_name: gricol-zoo", "pipeline_tag: image-classification", "tags:"]
    lines += [f"- {tag}" for tag in TAGS]
    if score is not None:
        lines += ["metrics:", "- accuracy", "model-index:", f"- name: {json.dumps(name)}", "  results:"]
        lines += ["  - task:", "      type: image-classification"]
        lines += ["    dataset:", f"      type: {json.dumps(score.kind)}", f"      name: {json.dumps(score.data)}"]
        lines += ["    metrics:", "    - type: accuracy", f"      value: {score.accuracy:.6f}"]
    return "\n".join([*lines, "---", ""])


def what_it_is(model: TwoBranchModel, info: WeightsInfo) -> str:
    """Return a description of the model, its size and its cost; ``info`` has the hash of its file."""
    spec = model.spec
    grid = f"grid {spec.grid}x{spec.grid}, head {spec.head}" if model.splitter.num_cells else "no grid (the control)"
    size = "x".join(map(str, (spec.in_chans, *spec.image_size)))
    parts = f"Backbone {spec.backbone}, {grid}, input {size}"
    try:
        cost = count(model)
    except GricolZooError:  # a third party's part that cannot be counted
        return f"{parts}. model.safetensors: {info.size} bytes, sha256 `{info.sha256}`."
    return f"""{parts}; {cost.params:.2f} M parameters ({cost.params_deployed:.2f} M deployed); lower
branch {cost.lower:.3f} Gflops (multiply-adds) per image. model.safetensors: {info.size} bytes, sha256 `{info.sha256}`."""


def card_of(model: TwoBranchModel, repo: str, info: WeightsInfo) -> str:
    """Return the card of a user's own model, from what its config records.

    Args:
        model: the model with its weights.
        repo: "org/name" that it is uploaded to.
        info: info of the files that are uploaded.
    """
    name = repo.rpartition("/")[2]
    spec, val, data = model.spec, info.val, str(info.training.get("split", ""))
    kind = f"the model {model.name} of" if model.name else "made with"
    classes = f"{spec.num_classes} classes ({', '.join(spec.labels)})"
    intro = f"A classifier of single chromosomes into {classes}, {kind} the model zoo gricol_zoo."
    use = f"""`gricol-zoo predict crops/ --model hf-hub:{repo} --out predictions.csv` reads image files, and
`gricol_zoo.classify(model, images)` images of any kind, with the preprocessing that is in `config.json`. timm loads it too,
after `import gricol_zoo.timm_bridge`."""
    sections = {"Results": _results(info), "Data and training": _training(info), "Limits": UNKNOWN}
    score = Score(f"val part of {data or 'the data'}", "chromosomes", float(val["accuracy"])) if "accuracy" in val else None
    return make_card(name, repo, intro, what_it_is(model, info), use, sections, score)


def _results(info: WeightsInfo) -> str:
    if "accuracy" not in info.val:
        return "No scores came with these weights."
    text = f"Accuracy {100 * float(info.val['accuracy']):.1f} % on the val part ({info.val.get('images', '?')} images)"
    if "ece" in info.val:
        text += f"; calibrated at temperature {info.calibration.temperature}, with an ECE of {float(info.val['ece']):.3f} there"
    threshold = info.calibration.threshold
    review = "" if threshold is None else f" Below a probability of {threshold:.3f} an image is marked for review."
    return f"{text}. That part chose the temperature, and perhaps more: it is no test.{review}"


def _training(info: WeightsInfo) -> str:
    training = info.training
    if not training:
        return "No training record came with these weights."
    recipe, known = training.get("recipe", {}), []
    known += [f"on {training['images']} images"] if "images" in training else []
    known += [f"of the train part of `{training['split']}`"] if training.get("split") else []
    known += [f"for {recipe['epochs']} epochs with seed {recipe['seed']}"] if {"epochs", "seed"} <= set(recipe) else []
    known += [f"from the weights of sha256 `{training['init_sha256']}`"] if training.get("init_sha256") else []
    calibrated = "" if info.val else " What was trained since then, if anything, is not recorded."
    return f"Trained {' '.join(known) or 'as `config.json` records'}.{calibrated}"
