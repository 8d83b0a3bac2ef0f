"""Images are where their labels say, and their means are those of their scores."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.heads.metrics.bootstrap import interval
from tedm.heads.probing.scored_images import ScoredImages

TRAIN, VAL, TEST = tuple("abcde"), tuple("fg"), tuple("hijk")


def test_places_are_domains_and_splits_with_test_first(probed):
    store, found = probed
    images = ScoredImages(store.labels, found.plan, "leave-out")
    assert images.places() == [("near", "test"), ("far", "test"), ("near", "val")]
    for domain, split in images.places():
        names = [images.names[number] for number in images.at(domain, split)]
        assert names == [n for n in (VAL if split == "val" else TEST) if store.labels.domains[store.labels.index(n)] == domain]


def test_a_mean_is_over_foreground_classes_repeats_and_images(probed):
    store, found = probed
    images = ScoredImages(store.labels, found.plan, "leave-out")
    scores = found.probed[0].scores
    np.testing.assert_array_equal(images.scores(scores), scores[..., 1, :])  # two classes, one of them the background
    dice = scores[..., 1, 0]
    assert images.mean_on_val(dice) == pytest.approx(100 * dice[:, : len(VAL)].mean())
    at = images.at("near", "test")
    expected = interval(dice[:, at], [images.groups[number] for number in at])
    assert images.interval(dice[:, at], at).low == 100 * expected.low


def test_images_that_show_no_class_are_counted(probed_with_empty_truths):
    store, plan, done = probed_with_empty_truths
    images = ScoredImages(store.labels, plan, "count")
    assert [images.without_class(done[0].scores[0], *place) for place in images.places()] == [
        int(place[0] == "near") for place in images.places()
    ]
