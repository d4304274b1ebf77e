"""Images that are read once: they equal those of a plain set, and files are opened and decoded as rarely as promised."""

import dataclasses
import hashlib
from collections import Counter

import numpy as np
import pytest
from helpers.commands import run
from helpers.synthetic import tiny_set, write_cell

from gricol_zoo import GricolZooError
from gricol_zoo.classical import crossval as classical_crossval
from gricol_zoo.classical import training as classical_training
from gricol_zoo.data import crops, decode
from gricol_zoo.data.crops import Crops, read_once
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import split_for
from gricol_zoo.data.table import Store
from gricol_zoo.errors import ImageError
from gricol_zoo.training.crossval import run_folds
from gricol_zoo.training.recipes import LIGHT
from gricol_zoo.training.train import train

QUICK = dataclasses.replace(LIGHT, epochs=1, batch_size=8, precision="fp32")


@pytest.fixture
def counts(monkeypatch):
    """How often each file is read, and how often its bytes are decoded."""
    reads, decodes = Counter(), Counter()
    read, decoding = Store.read, decode.decode

    def counted_read(self, name):
        reads[name] += name != "manifest.csv"
        return read(self, name)

    def counted_decoding(data):
        decodes[hashlib.sha256(data).hexdigest()] += 1
        return decoding(data)

    monkeypatch.setattr(Store, "read", counted_read)
    monkeypatch.setattr(decode, "decode", counted_decoding)
    return reads, decodes


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("r18half_128", {}),
        ("r18half_128", {"scale": "auto", "changes": {"preprocess": {"version": 2, "ground": "dark"}}}),
        ("r18half_128", {"scale": 1.2, "changes": {"preprocess": {"version": 2}}}),
    ],
)
def test_a_training_reads_and_decodes_each_image_once(chromosomes, tmp_path, counts, model, options):
    images, split, _ = split_for(open_images(chromosomes), 0)
    assert train(images, split, model, QUICK, tmp_path / "run", device="cpu", **options)
    for count in counts:
        assert list((+count).values()) == [1] * len(images)


def test_all_folds_together_read_each_image_once(tmp_path, counts):
    images = open_images(tiny_set(tmp_path / "set", cells=6))
    assert run_folds(images, "r18half_128", QUICK, tmp_path / "out", folds=2, group="image", device="cpu")
    for count in counts:
        assert list((+count).values()) == [1] * len(images)


def test_a_classical_training_reads_each_image_once(chromosomes, tmp_path, counts):
    images, split, _ = split_for(open_images(chromosomes), 0)
    classical_training.train(images, split, "wang2009", tmp_path / "run", 0, print)
    for count in counts:
        assert list((+count).values()) == [1] * len(images)


def test_all_folds_of_a_classical_system_read_each_image_once(tmp_path, counts):
    images = open_images(tiny_set(tmp_path / "set", cells=6))
    classical_crossval.run_folds(images, "wang2009", tmp_path / "out", folds=2, group="image")
    for count in counts:
        assert list((+count).values()) == [1] * len(images)


def test_a_karyotype_reads_each_image_once_and_so_does_drawing_it_again(tmp_path, counts):
    folder = tmp_path / "cell"
    images = len(write_cell(folder))
    assert run("karyotype", folder, "--out", tmp_path / "out", "--scale", "auto") == 0
    for count in counts:
        assert sorted((+count).values()) == [1] * images
        count.clear()
    assert run("karyotype", tmp_path / "out" / "karyotype.json", "--out", tmp_path / "again") == 0
    for count in counts:
        assert sorted((+count).values()) == [1] * images


@pytest.fixture
def harmed(tmp_path):
    """Images of which the last two are bad: one is not an image, and one is missing."""
    images = open_images(tiny_set(tmp_path / "set", cells=2))
    folder = images.store.root
    (folder / images.records[-2].path).write_bytes(b"no image")
    (folder / images.records[-1].path).unlink()
    return images


def test_what_is_read_once_is_what_a_plain_set_gives(harmed):
    once = read_once(harmed)
    assert read_once(once) is once
    for record in harmed.records[:-2]:
        np.testing.assert_array_equal(once.grey(record), harmed.grey(record))
        assert once.pixel_hash(record) == harmed.pixel_hash(record) != b""
        assert once.file_hash(record) == harmed.file_hash(record)
    whole = range(len(harmed) - 2)
    assert once.subset(whole).sha256() == harmed.subset(whole).sha256()
    broken, missing = harmed.records[-2:]
    for each in (harmed, once):
        assert each.pixel_hash(broken) == b""
        with pytest.raises(ImageError, match="not a readable image"):
            each.grey(broken)
        with pytest.raises(FileNotFoundError):
            each.grey(missing)
        for ask in (each.pixel_hash, each.file_hash):
            with pytest.raises(GricolZooError, match=f"{missing.path} of .*Fix the file or remove it from the manifest"):
                ask(missing)
    assert once.file_hash(broken) == harmed.file_hash(broken)


def test_what_is_too_much_to_keep_is_decoded_again(chromosomes, monkeypatch, counts):
    images = open_images(chromosomes)
    sizes = [images.grey(record).nbytes for record in images.records]
    monkeypatch.setattr(crops, "MAX_KEPT", sum(sizes[:4]))
    once = read_once(images)
    once.look(images.records[-1])
    assert sum(one.grey is not None for one in once.seen.values()) == 4
    counts[0].clear()
    for record in images.records:
        np.testing.assert_array_equal(once.grey(record), images.grey(record))
    assert [counts[0][record.path] for record in images.records] == [1] * 4 + [2] * (len(images) - 4)


def test_subsets_share_what_was_seen_and_read_only_their_own(chromosomes, counts):
    once = read_once(open_images(chromosomes))
    first, second = once.subset([0, 1]), once.subset([1, 2])
    assert isinstance(first, Crops)
    first.sha256()
    assert len(once.seen) == 2
    second.sha256()
    assert sum(counts[0].values()) == 3


def test_another_ground_is_read_anew(chromosomes, counts):
    once = read_once(open_images(chromosomes))
    record = once.records[0]
    once.grey(record)
    before = counts[0][record.path]
    once.grey(record, "light")
    assert counts[0][record.path] == before + 1
    assert read_once(once, "light") is not once
