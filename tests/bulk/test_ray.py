"""Prediction on a local Ray cluster of two workers. Ray must be installed: its extra has a step of its own in CI."""

import json
import os
import signal
import sys

import pytest
from helpers.commands import run
from helpers.synthetic import tiny_set, write_cell, zip_folder

from gricol_zoo import DEFAULT_MODEL, GricolZooError
from gricol_zoo.bulk.columns import ColumnClassifier
from gricol_zoo.data.rows import read_csv

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    ray.init(num_cpus=2, object_store_memory=100 * 2**20, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Two cells of 12 in a folder, one with a repeated picture and a file that is not an image; and the first in a zip."""
    folder = tiny_set(tmp_path_factory.mktemp("ray") / "crops", cells=4, classes=("1", "5", "21"), copies="ab")
    first = folder / "images" / "c00"
    (first / "5_a.png").write_bytes((first / "1_a.png").read_bytes())
    (first / "21_b.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def alone(crops, tmp_path_factory):
    """What `predict` writes without Ray."""
    out = tmp_path_factory.mktemp("alone") / "out.csv"
    assert run("predict", crops, zip_folder(crops, out.with_name("crops.zip")), "--out", out, "--dtype", "fp32") == 0
    return out


def test_it_writes_what_predict_writes(cluster, crops, alone, tmp_path, capsys):
    paths = crops, alone.with_name("crops.zip")
    assert run("predict", *paths, "--out", tmp_path / "o.csv", "--dtype", "fp32", "--engine", "ray", "--batch-size", 5) == 0
    assert (tmp_path / "o.csv").read_bytes() == alone.read_bytes()
    assert "48 images" in capsys.readouterr().err


def parquet_of(crops, file):
    """Write crops as a Parquet, as Spark or Hugging Face would."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    rows = read_csv(crops / "manifest.csv")
    images = [{"bytes": (crops / row["path"]).read_bytes(), "path": row["path"]} for row in rows]
    known = {name: [row[name] for row in rows] for name in ("path", "case", "cell", "label")}
    write_table(pa.table({**known, "image": images}), file, row_group_size=7)
    return file


def test_parquet_in_and_out(cluster, crops, alone, tmp_path):
    from pyarrow.parquet import read_table

    out = tmp_path / "out.parquet"
    file = parquet_of(crops, tmp_path / "in.parquet")
    assert run("predict", file, "--out", out, "--dtype", "fp32", "--engine", "ray", "--batch-size", 5) == 0
    table = read_table(out)
    rows = read_csv(alone)[: table.num_rows]
    assert table.num_rows == 24
    assert table.column("prediction").to_pylist() == [row["prediction"] for row in rows]
    assert [row and f"{row:.4f}" for row in table.column("probability").to_pylist()] == [
        row["probability"] or None for row in rows
    ]
    assert table.schema.field("review").type == "int8"


def test_the_scale_is_that_of_the_whole_cell(cluster, tmp_path):
    """The cell comes from a camera with twice the pixels; a batch has too few of its crops to measure the scale."""
    write_cell(tmp_path / "cell", zoom=2)
    how = "--dtype", "fp32", "--scale", "auto"
    assert run("predict", tmp_path / "cell", "--out", tmp_path / "one.csv", *how) == 0
    ray_too = "--engine", "ray", "--batch-size", 10
    assert run("predict", tmp_path / "cell", "--out", tmp_path / "ray.csv", *how, *ray_too) == 0
    assert read_csv(tmp_path / "ray.csv") == read_csv(tmp_path / "one.csv")
    assert run("predict", tmp_path / "cell", "--out", tmp_path / "none.csv", "--dtype", "fp32") == 0
    assert read_csv(tmp_path / "none.csv") != read_csv(tmp_path / "one.csv")


class Deadly(ColumnClassifier):
    """A classifier whose process is killed once, at a certain batch; every batch that is started is recorded."""

    notes = None

    def __call__(self, batch):
        with open(self.notes, "a") as stream:
            stream.write(json.dumps([os.getpid(), list(batch["path"])]) + "\n")
        killed = f"{self.notes}.killed"
        if any("c02" in path for path in batch["path"]) and not os.path.exists(killed):
            open(killed, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


def test_each_image_once_after_a_killed_worker(cluster, crops, alone, tmp_path):
    from gricol_zoo.bulk.ray_data import PredictSettings, predict

    cluster.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not have the tests
    classify = Deadly(DEFAULT_MODEL, dtype="fp32", threads=1)
    classify.notes = str(tmp_path / "notes")
    out = tmp_path / "out.csv"
    list(predict([crops], out, PredictSettings(classify, workers=2, batch_size=3)))
    assert (tmp_path / "notes.killed").exists()
    begun = [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]
    paths = [path for _, batch in begun for path in batch]
    assert len(paths) > len(set(paths))  # the killed batch was started again
    assert len({process for process, _ in begun}) >= 3
    prefix = f"{crops.as_posix().rstrip('/')}/"
    expected = [{**row, "path": row["path"].removeprefix(prefix)} for row in read_csv(alone)[:24]]
    assert [row["path"] for row in read_csv(out)] == [row["path"] for row in expected]
    assert [row["prediction"] for row in read_csv(out)] == [row["prediction"] for row in expected]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("in.parquet", "crops"), "cannot be mixed"),
        (("bad.parquet",), "cannot be read as Parquet"),
        (("other.parquet",), "to have a column 'image' of images, but it has path"),
    ],
)
def test_mistakes_are_one_line(cluster, crops, tmp_path, monkeypatch, capsys, arguments, said):
    import pyarrow as pa
    from pyarrow.parquet import write_table

    monkeypatch.chdir(tmp_path)
    (tmp_path / "crops").mkdir()
    (tmp_path / "bad.parquet").write_bytes(b"nothing")
    write_table(pa.table({"path": ["a"]}), "other.parquet")
    write_table(pa.table({"image": [b"a"]}), "in.parquet")
    assert run("predict", *arguments, "--out", "o.csv", "--engine", "ray") == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.strip().count("\n") == 0


def test_a_model_that_is_none_is_said_before_any_work(cluster, crops, tmp_path):
    from gricol_zoo.bulk.ray_data import PredictSettings, predict

    with pytest.raises(GricolZooError, match="no_such"):
        list(predict([crops], tmp_path / "o.csv", PredictSettings(ColumnClassifier("no_such"))))
