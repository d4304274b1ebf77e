"""Folds of a cross-validation: the images on which each fold is tested and calibrated."""

from __future__ import annotations

import warnings

import numpy as np

from gricol_zoo.data.split import group_of
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError

PROTOCOLS = {"case": "by case or cell", "image": "image-level"}
VAL_SHARE = 0.1  # of the groups that a fold is not tested on


def assign_folds(images: ImageSet, folds: int, seed: int) -> np.ndarray:
    """Return the fold, (n,) int64 in 0..folds-1, in which each image is tested.

    The folds are stratified by class, and no case or cell is split across folds.

    Raises:
        GricolZooError: fewer than two folds, an image without case and cell, fewer cases or cells than folds, or an empty fold.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if folds < 2:
        raise GricolZooError(f"Expected at least 2 folds, but got {folds}.")
    groups = [group_of(record) for record in images.records]
    if not all(groups):
        missing = images.records[groups.index("")].path
        raise GricolZooError(f"{missing!r} names neither a case nor a cell. Add them to the manifest, or use `--group image`.")
    if len(set(groups)) < folds:
        got = f"{len(set(groups))} for {folds} folds"
        raise GricolZooError(f"Expected at least one case or cell per fold, but got {got}. Use fewer folds.")
    labels = [record.label for record in images.records]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold_of = np.empty(len(images), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about rare classes, which warn_of_folds reports more clearly
        try:
            for fold, (_, test) in enumerate(splitter.split(labels, labels, groups)):
                fold_of[test] = fold
        except ValueError as error:  # more folds than images of any class
            raise GricolZooError(f"The images cannot be split into {folds} folds: {error}") from error
    empty = np.flatnonzero(np.bincount(fold_of, minlength=folds) == 0)
    if len(empty):
        raise GricolZooError(
            f"Expected images in each of {folds} folds, but fold {empty[0] + 1} would be empty: {len(set(groups))} cases or "
            "cells cannot be distributed that way. Use fewer folds, or another seed of the folds (--fold-seed)."
        )
    return fold_of


def warn_of_folds(images: ImageSet, fold_of: np.ndarray) -> list[str]:
    """Return warnings about the folds, one line each: classes missing from training or testing, and unequal sizes."""
    labels = np.array([record.label for record in images.records])
    sizes = np.bincount(fold_of)
    notes = []
    for fold, size in enumerate(sizes):
        tested = fold_of == fold
        for where, there in (("to train on", set(labels[~tested])), ("to test on", set(labels[tested]))):
            missing = sorted(set(labels) - there)
            if missing:
                notes.append(f"fold {fold + 1} has no image of {', '.join(missing)} {where}")
        if abs(size - sizes.mean()) > 0.2 * sizes.mean():
            notes.append(f"fold {fold + 1} is unbalanced: {size} of {sizes.sum()} images, mean {sizes.mean():.0f}")
    return notes


def fold_split(images: ImageSet, fold_of: np.ndarray, fold: int, seed: int) -> dict[tuple[str, str], str]:
    """Return a fold as a split, (case, cell) -> part: its own images are test, a tenth of the other groups is val.

    Raises:
        GricolZooError: fewer than two groups are left to train and calibrate on.
    """
    tested = {group_of(record) for record, own in zip(images.records, fold_of, strict=True) if own == fold}
    others = sorted({group_of(record) for record in images.records} - tested)
    if len(others) < 2:
        raise GricolZooError(f"Expected at least 2 cases or cells to train on, but fold {fold + 1} leaves {len(others)}.")
    chosen = np.random.default_rng([seed, fold]).permutation(len(others))[: max(1, round(VAL_SHARE * len(others)))]
    part_of = {**dict.fromkeys(others, "train"), **{others[index]: "val" for index in chosen}, **dict.fromkeys(tested, "test")}
    return {(record.case, record.cell): part_of[group_of(record)] for record in images.records}
