"""The card of a user's own model states the metadata of its weights, in YAML that the Hub reads."""

import pytest
import yaml
from helpers.models import SMALL

from gricol_zoo import create_model
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.weights.card import Score, card_of, make_card
from gricol_zoo.weights.source import find_in_dir


def parts(card):
    _, front, text = card.split("---\n", 2)
    return yaml.safe_load(front), text


def test_the_card_of_weights_with_a_record(tmp_path):
    model = create_model("gricol_r18half_n3_128.qband", pretrained=True)
    model.save_pretrained(tmp_path)
    info = find_in_dir(tmp_path).info
    front, text = parts(card_of(model, "you/mine", info))
    (result,) = front["model-index"][0]["results"]
    assert (front["library_name"], front["model-index"][0]["name"]) == ("gricol-zoo", "mine")
    assert result["dataset"]["name"] == "val part of qband.csv"
    assert result["metrics"][0]["value"] == pytest.approx(info.val["accuracy"], abs=1e-6)
    assert "license" not in front  # theirs to say
    for said in (
        "# mine",
        "24 classes (1, 2, 3,",
        "the model gricol_r18half_n3_128",
        "Research use only",
        "grid 3x3, head reconstruction, input 1x128x96; 3.53 M parameters (2.80 M deployed)",
        f"{info.size} bytes, sha256 `{info.sha256}`",
        'create_model("hf-hub:you/mine", pretrained=True, deployed=True)',
        f"Accuracy {100 * info.val['accuracy']:.1f} % on the val part (460 images); calibrated at temperature 0.7314",
        "is marked for review",
        "of the train part of `qband.csv`",
        "epochs with seed",
    ):
        assert said in text


def test_the_card_of_weights_that_know_nothing():
    model = create_model("r18half_128", num_classes=3, in_chans=3, class_names=("a: b", "c", "d"), **SMALL)
    front, text = parts(card_of(model, "you/mine", WeightsInfo({"sha256": "0" * 64, "size": 7})))
    assert "model-index" not in front
    for said in (
        "3 classes (a: b, c, d)",
        "no grid",
        "input 3x96x98",
        "No scores came",
        "No training record came",
        "## Out of scope",
        "Not recorded: the terms",
    ):
        assert said in text


@pytest.mark.parametrize("text", ["a: b", "- x", "x\ny", "#1", '"', "true"])
def test_whatever_a_data_set_is_called(text):
    card = make_card(text, "you/mine", "", "", "", {}, Score(text, text, 0.5))
    (entry,) = parts(card)[0]["model-index"]
    assert (entry["name"], entry["results"][0]["dataset"]) == (text, {"type": text, "name": text})
