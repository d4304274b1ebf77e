"""Control characters in names of files and cells and in configs: none reaches a terminal, a table or the page unescaped."""

import io
import json
import re

import pytest
from helpers.commands import run
from helpers.models import OLD_MODEL, SMALL
from helpers.synthetic import tiny_set

import gricol_zoo
from gricol_zoo.files import escaped
from gricol_zoo.progress import Plain
from gricol_zoo.serve import markup

EVIL = "a\x1b[2J\nb\x9b\u202ec\u2028d\x7f\x07"
LINE = EVIL.replace("\n", "")
HARM = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def evil_cell(tmp_path):
    """A folder with control characters in the names of its files, cell and case."""
    folder = tiny_set(tmp_path / "set", cells=1)
    old = folder / "images" / "c00"
    new = folder / "images" / EVIL
    old.rename(new)
    for file in list(new.iterdir()):
        file.rename(new / f"{EVIL}{file.name}")
    text = "path,case,cell,label\n" + "".join(
        f'"images/{EVIL}/{file.name}","{EVIL}","{EVIL}","1"\n' for file in sorted(new.iterdir())
    )
    (folder / "manifest.csv").write_text(text, newline="")
    return folder


def plain(text):
    """Return whether a text has no harmful control character; remove a progress bar's carriage returns first."""
    return not HARM.search(text.replace("\r\n", "\n"))


def test_a_name_is_written_out():
    assert escaped("a\x1b[2J\nb") == "a\\x1b[2J\\nb"
    assert escaped("клетка é 日本 '\"\\") == "клетка é 日本 '\"\\"
    assert escaped("\udc80") == "\\udc80"


def test_a_plain_stream_keeps_lines_tabs_and_bars():
    stream = io.StringIO()
    out = Plain.of(stream)
    assert Plain.of(out) is out
    for text in ("one\n", "\rbar 50 %", "\r", "a\tb\r\n", f"x\r{LINE}\n"):
        assert out.write(text) == len(text)
    assert stream.getvalue() == "one\n\rbar 50 %\ra\tb\r\n" + escaped(f"x\r{LINE}") + "\n"
    assert not out.isatty()


def test_the_commands(evil_cell, tmp_path, capsys):
    assert run("predict", evil_cell, "--out", tmp_path / "p.csv", "--model", OLD_MODEL) == 0
    assert run("karyotype", evil_cell, "--out", tmp_path / "k", "--model", OLD_MODEL) == 0
    assert run("verify", tmp_path / "k" / "karyotype.json") == 0
    assert run("karyotype", evil_cell, "--out", tmp_path / "x", "--cell", EVIL + "none") == 2
    assert run("predict", tmp_path / EVIL, "--out", tmp_path / "q.csv") == 2
    assert run("info", EVIL) == 2
    said = capsys.readouterr()
    assert "\\x1b[2J" in said.out
    assert plain(said.out)
    assert plain(re.sub(r"\r(?=[^\r\n]*(image/s|image\]|\Z))", "", said.err))
    for file in (tmp_path / "p.csv", tmp_path / "k" / "cells.csv", tmp_path / "k" / "chromosomes.csv"):
        text = file.read_bytes().decode()
        assert "\\x1b[2J" in text
        assert plain(text)
    assert plain((tmp_path / "k" / "karyogram.svg").read_text())


def test_the_page():
    assert plain(markup.text(EVIL))
    assert plain(markup.status(EVIL))


def config_of(tmp_path, change):
    gricol_zoo.create_model("gricol_r18half_n3_128", **SMALL).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))


def names(*words):
    def change(config):
        config["gricol_zoo"]["spec"]["class_names"] = config["label_names"] = list(words)
        config["model_args"].pop("class_names", None)

    return change


CONFIGS = {
    "24 equal class names": names(*["1"] * 24),
    "class names that differ only in case": names("x", "X", *map(str, range(22))),
    "an empty class name": names("", *map(str, range(23))),
    "a class name with a space in front": names(" 1", *map(str, range(23))),
    "a class name with an escape": names(EVIL, *map(str, range(23))),
    "an architecture with an escape": lambda config: config.update(architecture=EVIL),
    "an unknown field with an escape": lambda config: config["gricol_zoo"].update({EVIL: 1}),
    "an option with an escape": lambda config: config["gricol_zoo"]["spec"].update(head_options={EVIL: 1}),
    "std of 1e-300": lambda config: config["gricol_zoo"]["spec"]["preprocess"].update(std=1e-300),
    "scale of 1e-300": lambda config: config["gricol_zoo"]["spec"]["preprocess"].update(scale=1e-300),
}


@pytest.mark.parametrize("harm", CONFIGS)
def test_a_hostile_config_is_one_plain_line(tmp_path, capsys, harm):
    config_of(tmp_path, CONFIGS[harm])
    image = next((tiny_set(tmp_path / "set", cells=1) / "images").rglob("*.png"))
    assert run("predict", image, "--model", tmp_path, "--out", tmp_path / "p.csv") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert plain(said)
    import timm

    import gricol_zoo.timm_bridge

    with pytest.raises(gricol_zoo.GricolZooError):
        timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
