"""Alterations of a karyotype.json: `verify` finds each, or its field is listed as not protected without a signature."""

import copy
import dataclasses
import json
import shutil

import pytest
from helpers.commands import run
from helpers.synthetic import write_cell
from PIL import Image

import gricol_zoo
from gricol_zoo import DEFAULT_MODEL, GricolZooError
from gricol_zoo.inference.precision import has_bf16
from gricol_zoo.karyotype.audit import differences, written
from gricol_zoo.karyotype.document import Chromosome, Edit, Karyotype
from gricol_zoo.karyotype.reading import read_karyotype
from gricol_zoo.karyotype.rerun import Terms
from gricol_zoo.karyotype.run import find_cell
from gricol_zoo.karyotype.unprotected import FROM_BEFORE, NUMBERS, SLIGHTLY, UNPROTECTED, WHERE_MOVED, unprotected

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def model():
    return gricol_zoo.create_model(DEFAULT_MODEL, pretrained=True, deployed=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cell's record with an edited class and an edited turn; crop 07 cannot be read, and a manifest has the true classes."""
    folder = tmp_path_factory.mktemp("altered")
    labels = write_cell(folder / "cell")
    (folder / "cell" / "crop 07.png").write_bytes(b"damaged")
    image = Image.open(folder / "cell" / "crop 08.png")
    image.transpose(Image.Transpose.ROTATE_180).save(folder / "cell" / "crop 08.png")
    rows = [f"crop {place:02d}.png,{label},p1,c1,{'down' if place == 8 else ''}" for place, label in enumerate(labels)]
    (folder / "cell" / "manifest.csv").write_text("path,label,case,cell,short_arm\n" + "\n".join(rows) + "\n")
    assert run("karyotype", folder / "cell", "--out", folder / "out") == 0
    record = read_karyotype(folder / "out" / "karyotype.json")
    other = "1" if record.find(1).assigned != "1" else "2"
    record.move(1, other, "AB").turn(2, "AB").write(folder / "out" / "karyotype.json")
    return folder


@pytest.fixture(scope="module")
def data(folder):
    return json.loads((folder / "out" / "karyotype.json").read_text())


def found(file, model):
    """Return what `verify` would say, including the errors with which it refuses a record."""
    try:
        record = read_karyotype(file)
        return [*written(file, record), *differences(record, model, find_cell(record))]
    except (GricolZooError, OSError) as error:
        return [str(error)]


def put(*path):
    """Set a value deep in the record."""

    def change(data):
        *place, key, value = path
        for step in place:
            data = data[step]
        data[key] = value

    return change


def both(*changes):
    return lambda data: [change(data) for change in changes]


def forged(data):
    """Move a chromosome as if a person had done it: consistent in everything that can be compared."""
    item = data["chromosomes"][4]
    after = "5" if item["assigned"] != "5" else "6"
    data["edits"].append({**data["edits"][0], "id": item["id"], "before": item["assigned"], "after": after, "by": "CD"})
    item["assigned"] = after
    data["draft"] = read_back(data).draft


def check_of(seal):
    return {"time": "2026-01-31T12:00:00Z", "by": "AB", "id": 0, "before": "", "after": seal, "what": "checked"}


def read_back(data):
    kept = {key: value for key, value in data.items() if key not in ("format", "draft", "note")}
    chromosomes = [Chromosome(**item) for item in kept.pop("chromosomes")]
    return Karyotype(**{**kept, "chromosomes": chromosomes})


def as_before(data):
    """Remove what older records did not note."""
    for key in ("preparation", "ground"):
        del data["options"][key]


def without(*keys):
    """Make a record look like an older one, by removing fields of it or of its chromosomes."""

    def change(data):
        as_before(data)
        for place in (data, *data["chromosomes"]):
            for key in keys:
                place.pop(key, None)
        data["draft"] = read_back(data).draft

    return change


def without_polarity(data):
    """Remove what says which end is up, and turn no chromosome because of it."""
    without("polarity")(data)
    data["edits"] = [edit for edit in data["edits"] if edit["what"] != "turned"]
    for item in data["chromosomes"]:
        item["turned"] = item["short_arm"] == "down"


C = ("chromosomes", 3)
ALTERATIONS = {  # what is altered -> where, and how
    **{f"{key} of {value}": (key, put(key, value)) for key, value in (("format", 2), ("format", NAN), ("draft", "46,XX"))},
    "draft as a number": ("draft", put("draft", NAN)),
    "another note": ("note", put("note", "A finding.")),
    "no note": ("note", lambda data: data.pop("note")),
    "no draft": ("draft", lambda data: data.pop("draft")),
    "another cell": ("cell", put("cell", "c2")),
    "an empty cell": ("cell", put("cell", "")),
    "another case": ("case", put("case", "p2")),
    "another sex": ("sex", put("sex", "XX")),
    "no sex": ("sex", put("sex", "")),
    "labels reversed": ("labels", lambda data: data["labels"].reverse()),
    "a label missing": ("labels", lambda data: data["labels"].pop()),
    "scale": ("scale", put("scale", 1.5)),
    "scale of NaN": ("scale", put("scale", NAN)),
    "a slightly different scale": ("scale", put("scale", 1.0 + 1e-12)),
    "an added warning of the cell": ("warnings", lambda data: data["warnings"].append("all is well")),
    "an added known warning": ("warnings", lambda data: data["warnings"].append("x fits these images better: try it")),
    "another time": ("time", put("time", "2001-01-01T00:00:00Z")),
    "another source": ("source", lambda data: data.update(source=data["source"] + "/../cell")),
    "another torch": ("versions", put("versions", "torch", "1.0")),
    "a version of NaN": ("versions", put("versions", "torch", NAN)),
    "an added version": ("versions", put("versions", "other", "1.0")),
    "other weights": ("model.weights_sha256", put("model", "weights_sha256", "0" * 64)),
    "empty weights hash": ("model.weights_sha256", put("model", "weights_sha256", "")),
    "weights as a number": ("model.weights_sha256", put("model", "weights_sha256", 7)),
    "a name as a list": ("model.name", put("model", "name", ["x"])),
    "a label as a number": ("labels", put("labels", 3, 4)),
    "a layout as a number": ("options.layout", put("options", "layout", 7)),
    "a ground as a list": ("options.ground", put("options", "ground", [])),
    "costs as a list": ("options.costs", put("options", "costs", [1, 2, 3])),
    "a probability of true": ("chromosomes.probabilities", put("chromosomes", 3, "probabilities", "1", True)),
    "another hub_ref": ("model.hub_ref", put("model", "hub_ref", "org/evil@" + "0" * 40)),
    "another model name": ("model.name", put("model", "name", "gricol_r18half_n3_128.other")),
    "an added field of the model": ("model", put("model", "vendor", "x")),
    "dtype bf16": ("options.dtype", put("options", "dtype", "bf16")),
    "dtype auto": ("options.dtype", put("options", "dtype", "auto")),
    "an unknown dtype": ("options.dtype", put("options", "dtype", "fp64")),
    "preparation 1": ("options.preparation", put("options", "preparation", 1)),
    "ground dark": ("options.ground", put("options", "ground", "dark")),
    "ground light": ("options.ground", put("options", "ground", "light")),
    "another layout": ("options.layout", put("options", "layout", "nonsense")),
    "an added option": ("options", put("options", "checked", True)),
    **{
        f"what the cell tells of {value}": ("options.within_cell", put("options", "within_cell", value))
        for value in (0.0, 1.0, 2, NAN, "0.5", True)
    },
    "within_cell left out": ("options.within_cell", lambda data: data["options"].pop("within_cell")),
    "no options": ("options", put("options", {})),
    **{
        f"cost {key} of {value}": ("options.costs", put("options", "costs", key, value))
        for key, value in (("extra", 0), ("missing", 0), ("unassigned", 0), ("extra", NAN), ("missing", INF), ("extra", -1))
    },
    "an added cost": ("options.costs", put("options", "costs", "other", 1)),
    "another id": ("chromosomes.id", put(*C, "id", 99)),
    "an id twice": ("chromosomes.id", put(*C, "id", 1)),
    "another path": ("chromosomes.path", put(*C, "path", "crop 99.png")),
    "another sha256": ("chromosomes.sha256", put(*C, "sha256", "0" * 64)),
    "a probability": ("chromosomes.probabilities", lambda data: add(data, 0.01)),
    "a probability of NaN": ("chromosomes.probabilities", put(*C, "probabilities", "1", NAN)),
    "a probability of infinity": ("chromosomes.probabilities", put(*C, "probabilities", "1", INF)),
    "a probability as text": ("chromosomes.probabilities", put(*C, "probabilities", "1", "1")),
    "no probabilities": ("chromosomes.probabilities", put(*C, "probabilities", {})),
    "probabilities of an unreadable image": ("chromosomes.probabilities", put("chromosomes", 7, "probabilities", {"1": NAN})),
    "another prediction": ("chromosomes.predicted", put(*C, "predicted", "Y")),
    "no prediction": ("chromosomes.predicted", put(*C, "predicted", "")),
    "another class by the machine": ("chromosomes.automatic", both(put(*C, "automatic", "Y"), put(*C, "assigned", "Y"))),
    "another class, not noted": ("chromosomes.assigned", put(*C, "assigned", "Y")),
    "unassigned, not noted": ("chromosomes.assigned", put(*C, "assigned", "")),
    "confidence": ("chromosomes.confidence", put(*C, "confidence", 0.5)),
    "confidence of NaN": ("chromosomes.confidence", put(*C, "confidence", NAN)),
    "confidence of an unreadable image": ("chromosomes.confidence", put("chromosomes", 7, "confidence", NAN)),
    "another label": ("chromosomes.label", put(*C, "label", "Z")),
    "no label": ("chromosomes.label", put(*C, "label", "")),
    "another short arm": ("chromosomes.short_arm", put(*C, "short_arm", "up")),
    "no short arm": ("chromosomes.short_arm", put("chromosomes", 8, "short_arm", "")),
    "turned": ("chromosomes.turned", lambda data: put(*C, "turned", not data["chromosomes"][3]["turned"])(data)),
    "an error": ("chromosomes.error", put(*C, "error", "damaged")),
    "no error": ("chromosomes.error", put("chromosomes", 7, "error", "")),
    "a polarity": ("chromosomes.polarity", put(*C, "polarity", 0.123)),
    "a polarity of NaN": ("chromosomes.polarity", put(*C, "polarity", NAN)),
    "polarity of an unreadable image": ("chromosomes.polarity", put("chromosomes", 7, "polarity", 0.5)),
    "a warning of an image": ("chromosomes.warnings", put(*C, "warnings", ["fine"])),
    "a chromosome missing": ("chromosomes", lambda data: data["chromosomes"].pop()),
    "a chromosome twice": ("chromosomes", lambda data: data["chromosomes"].append({**data["chromosomes"][0], "id": 47})),
    "chromosomes in another order": ("chromosomes", lambda data: data["chromosomes"].reverse()),
    "no edits": ("edits", put("edits", [])),
    "an edit missing": ("edits", lambda data: data["edits"].pop()),
    "an edit by another": ("edits.by", put("edits", 0, "by", "XY")),
    "an edit at another time": ("edits.time", put("edits", 0, "time", "2001-01-01T00:00:00Z")),
    "an edit of another chromosome": ("edits.id", put("edits", 0, "id", 3)),
    "an edit of a chromosome that does not exist": ("edits.id", put("edits", 0, "id", 99)),
    "an edit from another class": ("edits.before", put("edits", 0, "before", "Y")),
    "an edit to another class": ("edits.after", put("edits", 0, "after", "Y")),
    "an edit of another field": ("edits.what", put("edits", 0, "what", "turned")),
    "a forged edit": ("edits", forged),
    "a confirmation, not noted": ("chromosomes.confirmed", put(*C, "confirmed", "Y")),
    "a confirmation of an unknown class": ("chromosomes.confirmed", put(*C, "confirmed", "77")),
    "a check with another seal": ("edits", lambda data: data["edits"].append(check_of("0" * 64))),
    "a check in place of an edit": ("edits.what", put("edits", 0, "what", "checked")),
    "an unknown field": ("confirmed", put("confirmed", True)),
    "format of true": ("format", put("format", True)),
    "format of 1.0": ("format", put("format", 1.0)),
    "an id of true": ("chromosomes.id", put("chromosomes", 0, "id", True)),
    "a confidence of true": ("chromosomes.confidence", put(*C, "confidence", True)),
    "a scale of true": ("scale", put("scale", True)),
    "a preparation of 2.0": ("options.preparation", lambda data: put("options", "preparation", 2.0)(data)),
    "an option within an option": ("options", put("options", "costs", "extra", [1])),
    "a model without hub_ref": ("model.hub_ref", lambda data: data["model"].pop("hub_ref")),
    "a confidence above one": ("chromosomes.confidence", put(*C, "confidence", 1.5)),
    "a negative probability": ("chromosomes.probabilities", put(*C, "probabilities", "1", -1e-9)),
    "a label twice": ("labels", lambda data: data["labels"].append("X")),
    "an edit without its field": ("edits.before", lambda data: data["edits"][0].pop("before")),
    "an edit with an added field": ("edits", put("edits", 0, "confirmed", True)),
    "older record, another case": ("case", both(as_before, put("case", "p2"))),
    "older record, an added warning": ("warnings", both(without(), put("warnings", ["all is well"]))),
    "older record, a warning of an image": ("chromosomes.warnings", both(without(), put(*C, "warnings", ["fine"]))),
    "older record, another polarity": ("chromosomes.polarity", both(as_before, put(*C, "polarity", 0.123))),
    "older record, another sex": ("sex", both(as_before, put("sex", "XX"))),
    "older record, an added option": ("options", both(as_before, put("options", "checked", True))),
}
SLIGHT = {  # what passes, because it says the same or nearly the same
    "confidence": lambda data: put(*C, "confidence", abs(data["chromosomes"][3]["confidence"] - 0.0009))(data),
    "probability": lambda data: add(data, 0.00009),
    "polarity": lambda data: put(*C, "polarity", abs(data["chromosomes"][3]["polarity"] - 0.0009))(data),
    "path": lambda data: put(*C, "path", f"./{data['chromosomes'][3]['path']}")(data),
    "cell": put("cell", "p1/c1"),
}
OF_BEFORE = {  # what an older record may lack
    "case": without("case"),
    "warnings": without("warnings"),
    "polarity": without_polarity,
    "options": as_before,
}


def add(data, value):
    data["chromosomes"][3]["probabilities"]["Y"] += value


def is_listed(field, classes_only=False):
    """Whether a field or its parent is on the list, or on the list for a rerun that only compares classes."""
    listed = [*UNPROTECTED, *NUMBERS * classes_only]
    return any(field == name or field.startswith(f"{name}.") for name in listed)


def test_the_record_itself_holds(folder, model):
    assert found(folder / "out" / "karyotype.json", model) == []


def test_there_are_enough():
    assert len(ALTERATIONS) >= 60


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_is_found_or_listed(folder, data, tmp_path, model, name):
    field, alter = ALTERATIONS[name]
    altered = copy.deepcopy(data)
    alter(altered)
    assert json.dumps(altered) != json.dumps(data)
    (tmp_path / "karyotype.json").write_text(json.dumps(altered))
    unable = name == "dtype bf16" and not has_bf16()
    assert found(tmp_path / "karyotype.json", model) or is_listed(field, unable), f"{name} is neither found nor listed"
    if "NaN" in name or "infinity" in name:
        assert found(tmp_path / "karyotype.json", model)


@pytest.mark.parametrize("name", SLIGHT)
def test_what_passes_for_it_says_nearly_the_same_is_listed(folder, data, tmp_path, model, name):
    altered = copy.deepcopy(data)
    SLIGHT[name](altered)
    assert altered != data
    (tmp_path / "karyotype.json").write_text(json.dumps(altered))
    assert found(tmp_path / "karyotype.json", model) == []
    assert any(name in field or name in field.replace("ies", "y") for field in SLIGHTLY)


@pytest.mark.parametrize("name", OF_BEFORE)
def test_what_a_record_from_before_may_lack_is_listed(folder, data, tmp_path, model, capsys, name):
    altered = copy.deepcopy(data)
    OF_BEFORE[name](altered)
    (tmp_path / "karyotype.json").write_text(json.dumps(altered))
    assert found(tmp_path / "karyotype.json", model) == []
    assert run("verify", tmp_path / "karyotype.json") == 0
    said = capsys.readouterr().out
    assert all(f"{field} taken out" in said for field in FROM_BEFORE)


def test_every_field_is_altered_or_listed():
    fields = [item.name for item in dataclasses.fields(Karyotype)]
    fields += [f"chromosomes.{item.name}" for item in dataclasses.fields(Chromosome)]
    fields += [f"edits.{item.name}" for item in dataclasses.fields(Edit)]
    fields += ["format", "draft", "note"]
    altered = {field for field, _ in ALTERATIONS.values()}
    assert not [name for name in fields if name not in altered and not is_listed(name) and name not in ("model", "options")]
    assert not [name for name in UNPROTECTED if name.partition(".")[0] not in fields]


def test_what_is_nested_is_altered_or_listed(data):
    altered = {field for field, _ in ALTERATIONS.values()}
    nested = [f"{name}.{key}" for name in ("model", "options") for key in data[name]]
    assert not [name for name in nested if name not in altered and not is_listed(name)]


def test_verify_prints_the_list(folder, capsys):
    assert run("verify", folder / "out" / "karyotype.json") == 0
    said = capsys.readouterr().out
    assert all(name in said for name in (*UNPROTECTED, *SLIGHTLY))
    assert not any(name in said for name in WHERE_MOVED if name != "cell")
    assert "taken out" not in said
    assert run("verify", folder / "out" / "karyotype.json", "--images", folder / "cell") == 0
    assert "chromosomes.label" in capsys.readouterr().out
    assert "model.hub_ref" in unprotected(Terms(renamed=True))


# --- signatures ---


@pytest.fixture
def signed(folder, tmp_path):
    shutil.copytree(folder / "out", tmp_path / "out")
    record = tmp_path / "out" / "karyotype.json"
    assert run("sign", record, "--key", tmp_path / "my.key", "--new") == 0
    return record


def test_a_signature_covers_every_field(signed, data, tmp_path, capsys):
    verify = ("verify", signed, "--signed-by", tmp_path / "my.key.pub")
    assert run(*verify) == 0
    assert "every field is signed by the key" in capsys.readouterr().out
    signed.write_text(json.dumps(data, indent=3))  # another layout of the same content
    assert run(*verify) == 0
    from gricol_zoo.errors import SignatureError
    from gricol_zoo.karyotype.document import signature_file, to_sign
    from gricol_zoo.weights.ed25519 import check, read_signature

    signature = read_signature(signature_file(signed))
    for _, alter in ALTERATIONS.values():
        altered = copy.deepcopy(data)
        alter(altered)
        signed.write_text(json.dumps(altered))
        with pytest.raises(SignatureError):
            check("karyotype", to_sign(signed), signature, tmp_path / "my.key.pub")
    signed.write_text(json.dumps({**data, "time": "2001"}))
    assert run(*verify) == 1
    assert "does not bear a valid signature" in capsys.readouterr().out


def test_a_signature_that_is_missing_or_of_another(signed, tmp_path, capsys):
    verify = ("verify", signed, "--signed-by")
    assert run("sign", "--new", "--key", tmp_path / "other.key") == 0
    assert run(*verify, tmp_path / "other.key.pub") == 1
    assert run(*verify, tmp_path / "none.pub") == 2
    assert run(*verify, tmp_path / "my.key") == 1  # not a public key
    signature = signed.with_name("karyotype.json.sig")
    for text in ("[]", "{}", '{"algorithm": "none", "signature": ""}', '{"algorithm": "ed25519", "signature": "zz"}'):
        signature.write_text(text)
        assert run(*verify, tmp_path / "my.key.pub") == 1
    signature.unlink()
    capsys.readouterr()
    assert run(*verify, tmp_path / "my.key.pub") == 1
    assert "There is no signature" in capsys.readouterr().out


def test_signing_says_what_is_wrong(signed, folder, data, tmp_path, capsys):
    assert (tmp_path / "my.key").stat().st_mode & 0o777 == 0o600
    for arguments, said in (
        (("sign", "--key", tmp_path / "my.key"), "Expected a karyotype.json"),
        (("sign", signed, "--key", tmp_path / "my.key", "--new"), "exists"),
        (("sign", signed, "--key", tmp_path / "my.key.pub"), "private key"),
        (("sign", signed, "--key", tmp_path / "none"), "No such file"),
    ):
        assert run(*arguments) == 2
        assert said in capsys.readouterr().err
    altered = copy.deepcopy(data)
    altered["chromosomes"][3]["assigned"] = ""
    signed.write_text(json.dumps(altered))
    assert run("sign", signed, "--key", tmp_path / "my.key") == 2
    assert "edits that are not recorded" in capsys.readouterr().err
