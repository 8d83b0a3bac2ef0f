"""Where a linear solver gets its rows: arrays in groups that stand for images, or the images of some features."""

from __future__ import annotations

import numpy as np

from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.design import Scratch
from tedm.heads.linear.source import ArrayRows, Source
from tedm.store import IGNORE


def test_arrays_are_one_image_a_group(rng):
    x, y, groups = rng.normal(size=(9, 2)), np.arange(9, dtype=np.uint8) % 3, np.array([0, 1, 0, 2, 1, 0, 2, 2, 0])
    rows = ArrayRows(x, y, groups)
    for name, image in zip("201", rows.images(list("201")), strict=True):
        (part,) = image.parts("float64", Scratch())
        assert image.name == name
        assert np.array_equal(part.design.matmat(np.eye(2)), x[groups == int(name)])
        assert np.array_equal(part.labels, y[groups == int(name)])
        assert np.array_equal(rows.counts[name], np.bincount(y[groups == int(name)], minlength=256))
    assert (rows.budget, rows.block_bytes, rows.reading_bytes, rows.design_bytes(3)) == (None, 0, 0, 0)


def test_some_rows_of_an_array_are_the_first_of_more(rng):
    x, y = rng.normal(size=(9, 2)), np.arange(9, dtype=np.uint8) % 3
    (image,) = ArrayRows(x, y, np.zeros(9, np.intp)).images(["0"])
    found, labels = image.some(100)
    assert sorted(map(tuple, np.column_stack([found, labels]))) == sorted(map(tuple, np.column_stack([x, y])))
    assert not np.array_equal(found, x)
    assert np.array_equal(image.some(4)[0], found[:4])
    assert np.array_equal(image.some(4)[1], labels[:4])


def test_rows_of_one_group_are_not_copied(rng):
    x = rng.normal(size=(4, 2))
    (image,) = ArrayRows(x, np.zeros(4, np.uint8), np.zeros(4, np.intp)).images(["0"])
    assert np.shares_memory(image.design._rows, x)


def test_features_give_their_groups_and_the_labels_that_count(make_store):
    store = make_store(values=(0, 1, 2), shown=(0, 2))
    source = Source.from_training_data(TrainingData(store, ["three", "one"], rows="share", pixels_per_image=20))
    assert list(source.counts) == ["three", "one"]
    assert source.groups == {"three": "three", "one": "one"}
    for counts in source.counts.values():
        assert (counts.sum(), counts[IGNORE]) == (20, 0)
    assert source.present(["three", "one"]).tolist() == [0, 2]
