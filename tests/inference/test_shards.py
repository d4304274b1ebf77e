"""Bulk prediction: each image once, whichever process is stopped or killed on the way."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.synthetic import tiny_set, zip_folder

from gricol_zoo import GricolZooError
from gricol_zoo.cli import main
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.table import ImageSet, Record, Store
from gricol_zoo.files import escaped
from gricol_zoo.inference.predict import COLUMNS
from gricol_zoo.inference.shards import join_run, own_device, whole_rows

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SLOWLY = ["--batch-size", "1", "--workers", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two zips and a folder, of 120, 30 and 12 images."""
    folder = tmp_path_factory.mktemp("shards")
    shards = []
    for index, cells in enumerate((40, 10, 4)):
        made = tiny_set(folder / f"site{index}", cells=cells, seed=index)
        shards.append(zip_folder(made, folder / f"{index}.zip") if index < 2 else made)
    return [str(shard) for shard in shards]


@pytest.fixture(scope="module")
def expected(data, tmp_path_factory):
    """The rows that ``--out`` gives for each shard."""
    out = tmp_path_factory.mktemp("expected")
    for index, shard in enumerate(data):
        assert main(["predict", shard, "--out", str(out / f"{index}.csv"), "--dtype", "fp32", "--workers", "1"]) == 0
    return [rows_of(out / f"{index}.csv") for index in range(len(data))]


def rows_of(file):
    """Return a file's rows with probabilities to two digits: a batch of another size rounds differently."""
    rows = list(csv.DictReader(file.open()))
    return [{key: f"{float(value):.2f}" if "probability" in key else value for key, value in row.items()} for row in rows]


def arguments(data, folder, *more):
    return ["predict", *data, "--shards", str(folder), "--dtype", "fp32", "--workers", "1", *more]


def start(data, folder, *more):
    command = [sys.executable, "-m", "gricol_zoo", *arguments(data, folder, *more)]
    return subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def check(folder, expected):
    files = [folder / name for name in ("0.csv", "1.csv", "site2.csv")]
    assert sorted(each.name for each in folder.glob("*.csv*")) == [file.name for file in files]  # no .part is left
    for file, rows in zip(files, expected, strict=True):
        assert rows_of(file) == rows


def rows_in(part):
    return part.read_text().count("\n") - 1 if part.exists() else 0


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_one_process(data, expected, tmp_path, capsys):
    assert main(arguments(data, tmp_path)) == 0
    check(tmp_path, expected)
    assert "3 shards: 3 done here, 0 by others, 0 before; here 162 images" in capsys.readouterr().err
    before = [file.stat().st_mtime_ns for file in tmp_path.glob("*.csv")]
    assert main(arguments(data, tmp_path)) == 0
    assert "3 shards: 0 done here, 0 by others, 3 before; here 0 images" in capsys.readouterr().err
    assert [file.stat().st_mtime_ns for file in tmp_path.glob("*.csv")] == before


@pytest.mark.slow
def test_three_processes_share_the_shards(data, expected, tmp_path):
    runs = [start(data, tmp_path, *SLOWLY) for _ in range(3)]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], said
    check(tmp_path, expected)
    assert sum(int(text.split(" done here")[0].split()[-1]) for text in said) == 3
    assert sum(int(text.split("; here ")[1].split()[0]) for text in said) == 162  # no image was predicted twice


@pytest.mark.slow
def test_a_killed_workers_shard_is_finished_by_another(data, expected, tmp_path):
    part = tmp_path / "0.csv.part"
    killed = start(data, tmp_path, *SLOWLY)
    wait_until(lambda: rows_in(part) > 5)
    killed.send_signal(signal.SIGSTOP)  # it holds its shard, and would hold it for ever
    done = rows_in(part)
    assert 5 < done < 120, "it was not in the middle"
    survivor = start(data, tmp_path, *SLOWLY)
    wait_until(lambda: (tmp_path / "1.csv").exists() and (tmp_path / "site2.csv").exists())
    assert rows_in(part) == done  # a shard that another process holds is not touched
    assert survivor.poll() is None  # the survivor waits for it
    killed.kill()  # SIGKILL: nothing is cleaned up
    killed.communicate()
    said = survivor.communicate(timeout=120)[1]
    assert survivor.returncode == 0, said
    check(tmp_path, expected)
    assert "3 shards: 3 done here" in said
    assert f"here {162 - done} images" in said  # a row that was cut counts as not done


@pytest.mark.slow
def test_stopped_and_gone_on_with(data, expected, tmp_path):
    part = tmp_path / "0.csv.part"
    run = start(data, tmp_path, *SLOWLY)
    wait_until(lambda: rows_in(part) > 5)
    run.send_signal(signal.SIGTERM)
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 1
    assert "Stopped; run the same command again to resume." in said
    done = rows_in(part)
    assert 5 < done < 120
    assert main(arguments(data, tmp_path)) == 0
    check(tmp_path, expected)


@pytest.fixture
def begun(data, expected, tmp_path):
    """A run of the second shard that was cut off in the middle of a row."""
    assert main(arguments(data[1:2], tmp_path)) == 0
    lines = (tmp_path / "1.csv").read_text().splitlines(keepends=True)
    (tmp_path / "1.csv").unlink()
    part = tmp_path / "1.csv.part"
    part.write_text("".join(lines[:11]) + lines[11][:20])
    return part


def test_a_row_that_was_cut_is_done_again(data, expected, begun, tmp_path):
    assert whole_rows(begun, open_images(data[1])) == 10
    assert main(arguments(data[1:2], tmp_path)) == 0
    assert rows_of(tmp_path / "1.csv") == expected[1]


def test_a_line_ends_where_csv_says(tmp_path):
    part = tmp_path / "x.csv.part"
    name = "a\u2028b\x85c.png"  # ends of lines to `str`; they are written out
    part.write_text(",".join(COLUMNS) + f"\n{escaped(name)}" + "," * (len(COLUMNS) - 1) + "\n", encoding="utf-8")
    assert whole_rows(part, ImageSet("x", [Record(name), Record("d.png")], Store(tmp_path, []))) == 1


@pytest.mark.parametrize("text", ["", "path,ca", ",".join(COLUMNS) + "\n"])
def test_a_part_without_rows(data, expected, tmp_path, text):
    (tmp_path / "1.csv.part").write_text(text)
    assert main(arguments(data[1:2], tmp_path)) == 0
    assert rows_of(tmp_path / "1.csv") == expected[1]


def test_a_part_of_other_images_is_refused(data, begun, tmp_path, capsys):
    begun.write_text(begun.read_text().replace("c00", "c77"))
    assert main(arguments(data[1:2], tmp_path)) == 2
    assert "rows of images that are not in" in capsys.readouterr().err
    assert begun.exists()


def test_another_model_or_precision_is_refused(data, expected, tmp_path, capsys):
    assert main(arguments(data[2:], tmp_path)) == 0
    assert main([*arguments(data[2:], tmp_path), "--model", "r18half_128.pki3"]) == 2
    assert "its model is 'r18half_192', not 'r18half_128'. Give another --shards folder" in capsys.readouterr().err
    assert json.loads((tmp_path / "run.json").read_text())["dtype"] == "fp32"


def test_a_bad_shard_does_not_lose_the_others(data, expected, tmp_path, capsys):
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    given = [str(tmp_path / "bad.zip"), data[1], str(tmp_path / "nowhere.zip")]
    assert main(arguments(given, tmp_path / "out")) == 2
    said = capsys.readouterr().err
    assert "2 of 3 shards failed, the others are done" in said
    assert "is not a valid zip file" in said
    assert "No such file or folder" in said
    assert rows_of(tmp_path / "out" / "1.csv") == expected[1]


def test_names_are_kept(tmp_path):
    first = join_run(tmp_path, ["a/x.zip", "b/x.zip", "y/"], {"model": "m"})
    assert [file.name for file in first.values()] == ["x.csv", "x-2.csv", "y.csv"]
    again = join_run(tmp_path, ["c/x.zip", "b/x.zip", "x-2.zip"], {"model": "m"})
    assert [file.name for file in again.values()] == ["x-3.csv", "x-2.csv", "x-2-2.csv"]
    with pytest.raises(GricolZooError, match="given twice"):
        join_run(tmp_path, ["b/x.zip", "b//x.zip"], {"model": "m"})
    with pytest.raises(GricolZooError, match=r"but a\.png is an image"):
        join_run(tmp_path, ["a.png"], {"model": "m"})


def test_each_process_has_a_gpu_of_its_own():
    assert own_device("cuda", {"LOCAL_RANK": "3"}) == "cuda:3"
    assert own_device("cuda", {}) == "cuda"
    assert own_device("cuda:1", {"LOCAL_RANK": "3"}) == "cuda:1"
    assert own_device("cpu", {"LOCAL_RANK": "3"}) == "cpu"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--shards", "s", "--out", "o.csv"], "not allowed with"),
        ([], "one of the arguments --out --shards is required"),
        (["--shards", "s", "--model", "poletti2012"], "classical"),
    ],
)
def test_mistakes(data, more, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["predict", *data, *more])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert said in capsys.readouterr().err
