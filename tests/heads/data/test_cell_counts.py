"""Counted rows give the sums of the rows that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.heads import LogisticHead
from tedm.heads.data.cell_counts import Tally
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.design import Scratch
from tedm.heads.data.rows import dense_rows, row_labels
from tedm.store import IGNORE, OnLevels


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_a_coarse_level_has_a_row_for_each_cell_and_class(make_store, layout):
    store = make_store(layout=layout, draws=2, values=(0, 1, 2))
    data = TrainingData(OnLevels(store, ["level0"]), store.labels.names, rows="share")
    for name in store.labels.names:
        (image,) = data.images([name])
        parts = list(image.parts("float64", Scratch()))
        rows = np.concatenate([part.design.matmat(np.eye(3)) for part in parts])
        labels, counts = (np.concatenate([getattr(part, of) for part in parts]) for of in ("labels", "counts"))
        (block,) = OnLevels(store, ["level0"]).blocks([name])
        dense, dense_labels = dense_rows(block, "share").astype(float), row_labels(store.mask(name), 3, 2, "share")
        assert len(rows) < len(dense) / 3
        for value in (0, 1, 2):
            mine, theirs = labels == value, dense_labels == value
            assert counts[mine].sum() == theirs.sum()
            np.testing.assert_allclose(counts[mine] @ rows[mine], dense[theirs].sum(axis=0), rtol=1e-9)
            np.testing.assert_allclose(counts[mine] @ rows[mine] ** 2, (dense[theirs] ** 2).sum(axis=0), rtol=1e-9)


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2)])
def test_a_regression_on_a_coarse_level_is_that_on_its_pixels(make_store, values):
    store = make_store(values=values)
    some = OnLevels(store, ["level0"])
    names = store.labels.names
    head = LogisticHead(2.0, dtype="float64", class_weight="balanced").fit_blocks(TrainingData(some, names, rows="share"))
    dense = np.concatenate([dense_rows(block, "share") for block in some.blocks(names)]).astype(float)
    labels = np.concatenate([row_labels(store.mask(name), 3, 1, "share") for name in names])
    known = labels != IGNORE
    expected = LogisticHead(2.0, dtype="float64", class_weight="balanced").fit(dense[known], labels[known])
    np.testing.assert_allclose(head.coef_, expected.coef_, rtol=0, atol=1e-5)
    assert head.objective_ == pytest.approx(expected.objective_, rel=1e-9)


def test_pixels_without_a_label_are_not_counted():
    tally = Tally.from_mask(np.array([[0, IGNORE], [IGNORE, 1]], np.uint8), 1)
    assert (tally.cells.tolist(), tally.labels.tolist(), tally.counts.tolist()) == ([0, 0], [0, 1], [1, 1])


@pytest.mark.parametrize(("upsampling", "level"), [("bilinear", "level0"), ("nearest", "level1")])
def test_only_repeated_rows_are_counted(make_store, upsampling, level):
    store = make_store(upsampling=upsampling)
    (image,) = TrainingData(OnLevels(store, [level]), ["one"], rows="share").images(["one"])
    assert all(part.counts is None for part in image.parts("float32", Scratch()))
