"""Images and masks as tensors, in memory or read again, and which of them a step sees."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from tedm.heads.runtime.memory import Budget
from tedm.heads.unet.pictures import Pictures, images_of_step
from tedm.store import IGNORE


def test_a_batch_is_the_images_and_masks_of_the_features(make_store, images_of):
    store = make_store()
    pictures = Pictures(images_of(store))
    images, labels = pictures.batch([2, 0, 2])
    for number, name in enumerate(("three", "one", "three")):
        assert np.array_equal(images[number].numpy(), store.image(name).transpose(2, 0, 1))
        assert np.array_equal(labels[number].numpy(), store.mask(name))
    assert labels.dtype == torch.int64
    assert (labels == IGNORE).any()


def test_images_that_the_budget_does_not_keep_are_read_again_and_are_the_same(make_store, images_of):
    store, budget = make_store(), Budget(kept=4 * 8 * 8 * 4)
    held, read = Pictures(images_of(store, memory=budget)), Pictures(images_of(store, memory=Budget(kept=1023)))
    assert (held.held, read.held, budget.keepable()) == (1024, 0, 0)
    for ours, theirs in zip(held.batch([3, 1]), read.batch([3, 1]), strict=True):
        assert torch.equal(ours, theirs)
    assert held.digest() == read.digest()
    held.give_back()
    assert budget.keepable() == 1024


def test_other_masks_or_images_have_another_digest(make_store, images_of):
    one = Pictures(images_of(make_store())).digest()
    assert Pictures(images_of(make_store(), pixels_per_image=9)).digest() != one
    assert Pictures(images_of(make_store(first=1))).digest() != one


def test_steps_see_all_images_equally_often_whatever_the_batch():
    for batch in (1, 3, 5, 16):
        seen = [images_of_step(7, iteration, batch, 5) for iteration in range(5)]
        assert all(len(step) == batch for step in seen)
        assert Counter(index for step in seen for index in step) == dict.fromkeys(range(5), batch)
        assert seen == [images_of_step(7, iteration, batch, 5) for iteration in range(5)]
    assert images_of_step(7, 0, 5, 5) != images_of_step(8, 0, 5, 5)
    assert sorted(images_of_step(7, 3, 5, 5)) == [0, 1, 2, 3, 4]
