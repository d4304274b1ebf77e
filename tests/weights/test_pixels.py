"""The record of the images that weights were trained on, by pixels: written, kept, checked in scoring, refused if damaged."""

import csv
import dataclasses
import json
import re
import shutil

import pytest
from helpers import ROOT
from helpers.commands import run
from PIL import Image

from gricol_zoo import GricolZooError, create_model
from gricol_zoo.data.images import pixel_hash, read_grey
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import make_split
from gricol_zoo.errors import ConfigError, CorruptWeightsError
from gricol_zoo.evaluation.report import evaluate
from gricol_zoo.files import file_sha256
from gricol_zoo.training.crossval import run_folds
from gricol_zoo.training.recipes import LIGHT
from gricol_zoo.training.train import train
from gricol_zoo.weights.config import CONFIG_FILE
from gricol_zoo.weights.pixels import PIXELS_FILE, WIDTH, pack, unpack

QUICK = dataclasses.replace(LIGHT, epochs=1, batch_size=8, precision="fp32")
SIDECARS = sorted((ROOT / "hub").glob(f"*/{PIXELS_FILE}"))
MAX_BYTES = 200_000


def split_of(images):
    return {(row["case"], row["cell"]): row["part"] for row in make_split(images.records, 0)}


def train_on(images, out, **options):
    assert train(images, split_of(images), "r18half_128", QUICK, out, device="cpu", **options)
    return out


@pytest.fixture(scope="module")
def trained(chromosomes, tmp_path_factory):
    return train_on(open_images(chromosomes), tmp_path_factory.mktemp("pixels") / "run")


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def renamed(chromosomes, tmp_path):
    """The same pixels in other files, with other formats, names, cells and cases."""
    folder = tmp_path / "renamed"
    (folder / "images").mkdir(parents=True)
    rows = []
    for place, record in enumerate(open_images(chromosomes).records):
        path = f"images/{place:03d}.{'tiff' if place % 2 else 'bmp'}"
        Image.open(chromosomes / record.path).convert("RGB" if place % 3 else "L").save(folder / path)
        rows.append({"path": path, "label": record.label, "cell": f"n{record.cell}", "case": f"n{record.case}"})
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return open_images(folder)


def load(folder):
    return create_model(f"local-dir:{folder}", pretrained=True, deployed=True)


def config_of(folder):
    return json.loads((folder / CONFIG_FILE).read_text())["gricol_zoo"]


def test_packed_and_unpacked():
    hashes = [bytes([9] * 32), b"", bytes([1] * 32), bytes([9] * 8 + [0] * 24)]
    assert pack(hashes) == bytes([1] * 8 + [9] * 8)
    assert unpack(pack(hashes)) == {bytes([1] * 8), bytes([9] * 8)}
    assert pack([]) == b""
    assert unpack(b"") == frozenset()


def test_a_training_records_its_images(trained, chromosomes):
    images = open_images(chromosomes)
    part = split_of(images)
    seen = [record for record in images.records if part[record.case, record.cell] == "train"]
    hashes = {pixel_hash(read_grey(images.read(record)))[:WIDTH] for record in seen}
    data = (trained / PIXELS_FILE).read_bytes()
    assert data == b"".join(sorted(hashes))
    said = config_of(trained)["training"]["pixels"]
    assert said == {"images": len(hashes), "sha256": file_sha256(trained / PIXELS_FILE)}


def test_renamed_images_are_known_again(trained, renamed):
    model = load(trained)
    report, _ = evaluate(model, renamed, name="x")
    assert report["seen_in_training"] == config_of(trained)["training"]["images"] == 18
    assert report["of_cells_in_training"] == 0
    with pytest.raises(GricolZooError, match=r"was trained on 18 of these 30.*such as images/"):
        run_folds(renamed, "r18half_128", QUICK, trained / "never", folds=2, init=str(trained), device="cpu")
    assert not (trained / "never").exists()


def test_validate_says_so(trained, renamed, tmp_path, capsys):
    assert run("validate", "--data", renamed.store.root, "--model", trained, "--out", tmp_path / "r.json") == 0
    assert "warning: 18 images seen in training (same pixels)" in capsys.readouterr().err
    assert json.loads((tmp_path / "r.json").read_text())["seen_in_training"] == 18


def test_the_ground_does_not_matter(trained, renamed):
    model = load(trained)
    model.spec = model.spec.replace(preprocess={"ground": "dark"})
    report, _ = evaluate(model, renamed, name="x")
    assert report["seen_in_training"] == 18


def test_validation_images_that_the_start_knows_are_said(trained, renamed, tmp_path, caplog):
    cells = sorted({record.cell for record in renamed.records})
    split = {(cell, cell): "val" if place < 3 else "train" for place, cell in enumerate(cells)}
    with caplog.at_level("INFO", "gricol_zoo"):
        train(renamed, split, "r18half_128", QUICK, tmp_path / "run", device="cpu", init=str(trained))
    assert re.search(r"warning: .* was trained on [1-9] of the 9 validation images", caplog.text)


def test_what_the_start_was_trained_on_is_kept(trained, chromosomes, tmp_path):
    images = open_images(chromosomes)
    other = images.subset([index for index, record in enumerate(images.records) if record.cell >= "c04"])
    own = train_on(other, tmp_path / "own")
    both = train_on(other, tmp_path / "both", init=str(trained))
    known = unpack((both / PIXELS_FILE).read_bytes())
    assert known == unpack((trained / PIXELS_FILE).read_bytes()) | unpack((own / PIXELS_FILE).read_bytes())
    assert known > unpack((own / PIXELS_FILE).read_bytes())


def test_a_start_without_a_record_leaves_none(copied, chromosomes, tmp_path):
    (copied / PIXELS_FILE).unlink()
    after = train_on(open_images(chromosomes), tmp_path / "after", init=str(copied))
    assert not (after / PIXELS_FILE).exists()
    assert "pixels" not in config_of(after)["training"]
    report, _ = evaluate(load(after), open_images(chromosomes), name="x")
    assert report["seen_in_training"] is None
    assert report["of_cells_in_training"] == 18


def test_weights_from_before_say_null(chromosomes):
    report, _ = evaluate(create_model("r18half_128.pki3", pretrained=True), open_images(chromosomes), name="x")
    assert report["seen_in_training"] is None
    assert report["of_cells_in_training"] == 0


def test_saved_again_it_goes_along(copied, tmp_path):
    create_model(f"local-dir:{copied}", pretrained=True).save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / PIXELS_FILE).read_bytes() == (copied / PIXELS_FILE).read_bytes()
    assert create_model(f"local-dir:{copied}", pretrained=True).deploy().training_pixels
    (copied / PIXELS_FILE).unlink()
    create_model(f"local-dir:{copied}", pretrained=True).save_pretrained(tmp_path / "without")
    assert "pixels" not in config_of(tmp_path / "without")["training"]
    assert config_of(tmp_path / "without")["training"]["groups"]


def test_through_the_hub(copied, hub, monkeypatch):
    from helpers.hub import TOKEN

    commit = create_model(f"local-dir:{copied}", pretrained=True).push_to_hub("me/mine", token=TOKEN)
    model = create_model(f"hf-hub:me/mine@{commit}", pretrained=True)
    assert model.training_pixels == (copied / PIXELS_FILE).read_bytes()


def longer(data):
    return data + data[:WIDTH]


@pytest.mark.parametrize("harm", [lambda data: data[:-1], longer, lambda data: data[::-1], lambda data: b""])
def test_another_file_is_refused(copied, harm):
    file = copied / PIXELS_FILE
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(CorruptWeightsError, match=r"pixels\.bin is not the file that its config describes.*or delete it"):
        load(copied)


@pytest.mark.parametrize(
    "said",
    [
        7,
        {},
        {"images": 1},
        {"images": -1, "sha256": "0" * 64},
        {"images": True, "sha256": "0" * 64},
        {"images": 1, "sha256": "x"},
    ],
)
def test_another_record_is_refused(copied, said):
    config = json.loads((copied / CONFIG_FILE).read_text())
    config["gricol_zoo"]["training"]["pixels"] = said
    (copied / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="training"):
        load(copied)


@pytest.mark.parametrize("file", SIDECARS, ids=lambda file: file.parent.name)
def test_released_sidecars(file):
    said = config_of(file.parent)["training"]["pixels"]
    data = file.read_bytes()
    assert said == {"images": len(data) // WIDTH, "sha256": file_sha256(file)}
    assert data == pack([data[start : start + WIDTH] for start in range(0, len(data), WIDTH)])
    assert len(data) <= MAX_BYTES
    assert "can test whether it was used for training" in (file.parent / "README.md").read_text().replace("\n", " ")


def test_the_newest_weights_have_one():
    assert {file.parent.name for file in SIDECARS} >= {"r18half_192.pki3", "r18half_192.qband"}
