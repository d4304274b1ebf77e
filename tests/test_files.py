"""JSON files: all of them are read in one way."""

import json
import os
import re
import threading

import pytest

from gricol_zoo import GricolZooError
from gricol_zoo.classical.config import read_config as read_classical
from gricol_zoo.data.rows import read_csv, to_csv
from gricol_zoo.evaluation.compare import compare_runs
from gricol_zoo.evaluation.out_of_fold import FOLDS, PREDICTIONS, QUESTION, note_question
from gricol_zoo.files import on_another_machine, parse_json, read_json, what_differs, write_atomically, write_json
from gricol_zoo.files import read_table as read_rows
from gricol_zoo.inference.shards import RUN_FILE, join_run
from gricol_zoo.karyotype.reading import read_karyotype
from gricol_zoo.models.presets import read_table
from gricol_zoo.training.recipes import get_recipe
from gricol_zoo.weights.config import read_config


def compared(file):
    for name in (PREDICTIONS, FOLDS):
        (file.parent / name).write_text("path,fold\n")
    compare_runs(file.parent, file.parent)


READERS = {
    "config.json": [read_config, read_classical],
    "recipe.json": [lambda file: get_recipe(str(file))],
    "karyotype.json": [read_karyotype],
    "weights.json": [read_table],
    QUESTION: [compared, lambda file: note_question(file.parent, {}, resume=True)],
    RUN_FILE: [lambda file: join_run(file.parent, ["a.zip"], {})],
}


@pytest.mark.parametrize(("name", "read"), [(name, read) for name, several in READERS.items() for read in several])
def test_every_reader_refuses_what_is_no_json(tmp_path, name, read):
    file = tmp_path / name
    for data, reason in (
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' occurs twice"),
        (b'{"a": 1 "b": 2}', "Expecting ',' delimiter"),
        (b'{"a": "\xff"}', "can't decode byte 0xff"),
        (b"[" * 100_000, ""),
    ):
        file.write_bytes(data)
        told = f"{re.escape(str(file))} is not valid JSON: .*{reason}.* \\(a manual edit may have dropped a comma or quote\\)"
        with pytest.raises(GricolZooError, match=told):
            read(file)


def test_what_is_too_large_is_not_read(tmp_path):
    (tmp_path / "a.json").write_text(" " * 100)
    with pytest.raises(GricolZooError, match=r"Expected a list of at most 99 bytes, but .*a.json has 100\."):
        read_json(tmp_path / "a.json", "a list", 99)


def test_written_and_read(tmp_path):
    data = {"b": [1, 2.5, None], "a": {"é": True}}
    write_json(tmp_path / "a.json", data)
    assert (tmp_path / "a.json").read_text() == json.dumps(data, indent=2) + "\n"
    assert read_json(tmp_path / "a.json", "one") == data
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_what_differs():
    wanted = {"model": "a", "recipe": {"lr": 0.1, "steps": (1, 2)}}
    assert what_differs(json.loads(json.dumps({**wanted, "more": 1})), wanted) == ""
    assert what_differs({**wanted, "model": "b"}, wanted) == "its model is 'b', not 'a'"
    assert what_differs({"model": "a", "recipe": {"lr": 0.2}}, wanted) == "its recipe is lr 0.2, not 0.1"
    assert what_differs([], wanted) == "its model is None, not 'a'"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_and_tables_read_whatever_the_editor_saved(encoding, tmp_path):
    file = tmp_path / "a.json"
    file.write_text('{"epochs": 1, "cell": "Müller"}', encoding=encoding)
    assert read_json(file, "a file") == {"epochs": 1, "cell": "Müller"}
    file.write_text("A;b\nMüller;1\n", encoding=encoding)
    assert read_csv(file) == [{"A": "Müller", "b": "1"}]


@pytest.mark.parametrize("text", ["=1+1", "+49 30", "-x", "@a", "'=1", "''@", "-", "plain", "'plain", "", "a=b"])
def test_guarded_text_comes_back(text, tmp_path):
    written = to_csv([{"text": text, "number": "-0.5", "count": -3}])
    (tmp_path / "a.csv").write_text(written)
    assert read_csv(tmp_path / "a.csv") in ([{"text": text, "number": "-0.5", "count": "-3"}],)
    assert not written.splitlines()[1].startswith(("=", "+", "-", "@"))
    assert ",-0.5,-3" in written


def test_a_link_keeps_leading_to_the_file_that_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a.json")
    for data in ({"a": 1}, {"a": 2}):
        write_json(tmp_path / "link", data)
        assert (tmp_path / "link").is_symlink()
        assert read_json(tmp_path / "there" / "a.json", "a list") == data
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["a.json"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, b"a report")
    reader.join(10)
    assert got == [b"a report"]
    assert pipe.is_fifo()


def test_a_name_may_be_as_long_as_a_file_system_takes(tmp_path):
    file = tmp_path / ("\u7ec6" * 85)
    write_atomically(file, b"a")
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


@pytest.mark.timeout(60)
def test_many_columns_and_many_keys_take_no_longer_than_they_are_many(tmp_path):
    header = ",".join(f"c{number}" for number in range(18_000))
    with pytest.raises(GricolZooError, match="the column 'c7' twice"):
        read_rows(f"{header},c7\n".encode(), "it")
    with pytest.raises(GricolZooError, match=r"not a valid CSV: field larger than field limit \(131072\)"):
        read_rows(b"x" * 140_000, "it")
    keys = ", ".join(f'"k{number}": 0' for number in range(200_000))
    with pytest.raises(GricolZooError, match="the key 'k199999' occurs twice"):
        parse_json(f'{{{keys}, "k199999": 0}}'.encode(), "it")


@pytest.mark.parametrize(
    ("path", "elsewhere"),
    [
        ("\\\\host\\share", True),
        ("//host/share", True),
        ("/\\host", True),
        (" \\\\host", True),
        ("/data/x", False),
        ("C:\\x", False),
    ],
)
def test_a_path_on_another_machine(path, elsewhere):
    assert on_another_machine(path) == elsewhere
