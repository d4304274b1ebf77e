"""Impossible folds are reported before anything is trained."""

import pytest

from gricol_zoo import GricolZooError
from gricol_zoo.data.folds import assign_folds
from gricol_zoo.data.store import Store
from gricol_zoo.data.table import ImageSet, Record

COUNTS = [[2, 2, 0, 1], [2, 0, 0, 2], [0, 0, 2, 0], [0, 2, 1, 0]]  # cell x class; scikit-learn leaves one of four folds empty


def test_an_empty_fold_is_said_beforehand(tmp_path):
    records = [
        Record(f"{cell}_{label}_{copy}.png", str(label), case=f"g{cell}")
        for cell, counts in enumerate(COUNTS)
        for label, count in enumerate(counts, 1)
        for copy in range(count)
    ]
    images = ImageSet("x", records, Store(tmp_path, []))
    with pytest.raises(GricolZooError, match=r"images in each of 4 folds, but fold \d would be empty.*Use fewer folds"):
        assign_folds(images, 4, 0)
    assert len(assign_folds(images, 2, 0)) == len(records)
