"""A head from strokes, and what is seen with it."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import load_head, save_head
from tedm.store import IGNORE
from tedm.study.strokes.learn import fit_strokes, look
from tedm.study.strokes.painted import Classes
from tedm.study.strokes.remembered import Remembered


@pytest.mark.parametrize("learner", ["logistic", "mlp"])
def test_a_head_of_a_few_strokes_sees_what_was_painted_and_where_it_is_unsure(store, strokes, classes, learner):
    features = Remembered(store)
    head = fit_strokes(features, strokes, classes, head=learner, iterations=100, device="cpu")
    assert head.classes == (0, 255)
    assert head.named_classes == {0: "background", 255: "blob"}
    assert sorted(head.provenance.images) == sorted(strokes)
    for name, painted in strokes.items():
        seen = look(features, head, name)
        assert seen.mask.shape == seen.uncertainty.shape == painted.shape
        assert (seen.mask[painted != IGNORE] == painted[painted != IGNORE]).mean() > 0.9
        assert 0 <= seen.uncertainty.min() < seen.uncertainty.max() <= 1


def test_the_same_strokes_give_the_same_head(store, strokes, classes, tmp_path):
    for number in range(2):
        save_head(fit_strokes(store, strokes, classes, head="mlp", iterations=5, device="cpu"), tmp_path / str(number))
    first, again = ((tmp_path / str(number) / "weights.safetensors").read_bytes() for number in range(2))
    assert first == again
    assert load_head(tmp_path / "0").label == "strokes"


def test_some_of_the_timesteps_can_be_learned_from(store, strokes, classes):
    assert fit_strokes(store, strokes, classes, timesteps=[50]).method.timesteps == (50,)
    with pytest.raises(TedmError, match="reads timesteps that are not there: 7"):
        fit_strokes(store, strokes, classes, timesteps=[7])


def test_with_masks_the_masks_of_training_images_are_learned_from_too(store, strokes, classes):
    head = fit_strokes(store, strokes, classes, with_masks=True)
    assert sorted(head.provenance.images) == sorted(store.labels.select(split="train"))


def test_nothing_painted_is_said(store, strokes, classes):
    name = next(iter(strokes))
    for nothing in ({}, {name: np.full_like(strokes[name], IGNORE)}):
        with pytest.raises(TedmError, match="nothing is painted yet; paint a stroke of each of two classes at least"):
            fit_strokes(store, nothing, classes)


def test_strokes_of_one_class_are_refused_by_the_name_of_the_class_and_of_others(store, strokes, classes):
    one = {name: np.where(painted == 1, 1, IGNORE).astype(np.uint8) for name, painted in strokes.items()}
    with pytest.raises(
        TedmError, match=r"all strokes are of one class, blob; paint a stroke of another one too \(background\)"
    ):
        fit_strokes(store, one, classes)
    lone = {name: np.where(painted == 1, 0, IGNORE).astype(np.uint8) for name, painted in strokes.items()}
    with pytest.raises(TedmError, match="of one class, a; paint a stroke of another one too: add a class first"):
        fit_strokes(store, lone, Classes((3,), ("a",), ("#000000",)))


def test_strokes_of_a_class_that_is_not_there_are_refused(store, strokes):
    with pytest.raises(TedmError, match="strokes are of class number 2, and there are 1"):
        fit_strokes(store, strokes, Classes((0,), ("a",), ("#000000",)))


def test_a_head_of_other_features_is_refused(store, strokes, classes, volume_study):
    head = load_head(volume_study / "tedm")
    with pytest.raises(TedmError, match="the store lungs"):
        look(store, head, store.labels.names[0], what="the store lungs")
