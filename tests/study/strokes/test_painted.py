"""Features with strokes for labels, and the classes that are painted with."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.store import IGNORE
from tedm.study.strokes.cells import to_square_strokes
from tedm.study.strokes.painted import Classes, Painted


def test_painted_images_have_their_strokes_for_masks_and_others_none(store, strokes, classes):
    painted = Painted(store, strokes, classes)
    for name in store.labels.names:
        expected = to_square_strokes(strokes[name], 16, "pad") if name in strokes else np.full((16, 16), IGNORE)
        assert np.array_equal(painted.mask(name), expected)
        assert painted.labels.labelled[painted.labels.index(name)] == (expected != IGNORE).sum()
        assert np.array_equal(painted.image(name), store.image(name))
    assert painted.labels.class_names == ("background", "blob")
    assert painted.labels.select(labelled=True) == list(strokes)
    assert store.labels.labelled[2] > 0  # and the store's labels are what they were


def test_with_masks_the_others_keep_theirs_and_a_painted_image_of_the_test_split_is_for_training(store, strokes, classes):
    test = store.labels.select(split="test")[0]
    strokes[test] = np.ones(store.labels.original_sizes[store.labels.index(test)], np.uint8)
    painted = Painted(store, strokes, classes, with_masks=True)
    assert painted.labels.select(split="train", labelled=True) == [*store.labels.select(split="train"), test]
    other = store.labels.select(split="train")[3]
    assert np.array_equal(painted.mask(other), store.mask(other))
    assert (painted.mask(test) != 0).all()


def test_masks_of_other_classes_are_not_learned_from_beside_strokes(store, strokes):
    with pytest.raises(
        TedmError, match=r"the masks have the classes 0, 255, and the strokes 0, 1; learn from the strokes alone"
    ):
        Painted(store, strokes, Classes((0, 1), ("a", "b"), ("#000000", "#ffffff")), with_masks=True)


def test_strokes_of_another_size_are_refused(store, strokes, classes):
    name = next(iter(strokes))
    with pytest.raises(TedmError, match=f"strokes on {name} are of 5 x 26 pixels .* and the image is 20 x 26"):
        Painted(store, {name: strokes[name][:5]}, classes)


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        ((), (), "1 to 200 classes"),
        ((1, 1), ("a", "b"), "1 to 200 classes"),
        ((0, 70000), ("a", "b"), "a PNG cannot hold the mask value 70000"),
        ((0, -1), ("a", "b"), "a PNG cannot hold the mask value -1"),
        ((0, 1), ("a", "a"), "class 1: name 'a' is that of class 0 too"),
        ((0, 1), ("a", ""), "a class is called by 1 to 200 characters"),
        ((0, 1), ("a", "b\nc"), "a class is called by 1 to 200 characters"),
    ],
)
def test_classes_that_cannot_be_are_refused(values, names, message):
    with pytest.raises(TedmError, match=message):
        Classes(values, names, ("#000000",) * len(values))


def test_the_value_without_a_label_is_255_or_the_largest_that_is_no_class():
    assert Classes((0, 1), ("a", "b"), ("#000000",) * 2).unlabelled == 255
    assert Classes((0, 254, 255), ("a", "b", "c"), ("#000000",) * 3).unlabelled == 253
