"""What a step learns from: whole images of an epoch's permutation, or pixels of a window whose images take turns."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.sampling import pixel_weights
from tedm.heads.mlp.batches import Batches, Window


def data_of(store, rows="share", names=None, **changes):
    return TrainingData(store, names or store.labels.names, rows=rows, **changes)


def batches(**changes):
    """Batches of an MLP of one member, unless told otherwise."""
    return Batches(**{"kind": "pixels", "members": 1, "images_per_batch": 16, "pixels_per_batch": 20, "seed": 0, **changes})


def windows(made, data, images, start=0):
    """Names in the window of each iteration, and where they lie."""
    names = {data.features.block(name).cells[0].tobytes(): name for name in data.names}
    of = made.windows(data, data.names, images=images, start=start, device="cpu")
    for window in (window for window, iterations in of for _ in iterations):
        held = [names[level.numpy().tobytes()] for level in window.cells[0]]
        for name, mask in zip(held, window.masks, strict=True):
            assert np.array_equal(mask.reshape(8, 8), data.features.mask(name))
        yield held, window.cells[0].data_ptr()


def test_batches_of_whole_images_use_every_image(make_store):
    store = make_store(names=("one", "two", "three", "four", "five"))
    data = data_of(store)
    made = batches(kind="images", images_per_batch=2, iterations=20)
    met, neighbours = Counter(), set()
    for iteration in range(20):
        names = made.whole_images(data, data.names, iteration)
        assert names == sorted(names, key=data.names.index)
        if iteration % 2 == 0:
            epoch = set()
        assert len(names) == 2
        assert not epoch & set(names)
        epoch |= set(names)
        met.update(names)
        neighbours.add(tuple(names))
    assert set(met) == set(data.names)
    assert len(neighbours) > 6  # of ten pairs: not the same few


def test_a_window_lies_in_one_place_and_turns_reach_every_image(make_store):
    data = data_of(make_store())
    made = batches(iterations=40)
    held, places = zip(*windows(made, data, 3), strict=True)
    assert len(held) == 40
    assert len(set(places)) == 1
    changes = [i for i in range(1, 40) if held[i] != held[i - 1]]
    every = made._turn_every(data, data.names)
    assert every == 3  # 60 labelled pixels an image, in batches of 20
    assert set(changes) <= set(range(0, 40, every))  # the next may be the same image again
    for turn in changes:
        assert sum(a != b for a, b in zip(held[turn - 1], held[turn], strict=True)) == 1
    met = Counter(name for names in held for name in set(names))
    assert set(met) == set(data.names)
    assert max(met.values()) < 1.4 * min(met.values())


@pytest.mark.parametrize("images", [1, 3, 4])
def test_a_window_is_the_same_wherever_a_fit_goes_on(make_store, images):
    data = data_of(make_store())
    made = batches(iterations=30)
    whole = list(islice(windows(made, data, images), 30))
    for start in (1, 7, 8, 29):
        again = islice(windows(made, data, images, start), 30 - start)
        assert [held for held, _ in again] == [held for held, _ in whole[start:]]


@pytest.mark.parametrize("images", [2, 4])
def test_what_is_drawn_together_is_what_each_iteration_draws_alone(make_store, images):
    data = data_of(make_store())
    made = batches(iterations=40, members=2)
    whole = list(made.drawn(data, data.names, images=images, start=0, device="cpu"))
    assert len(whole) == 40
    for start in (0, 5, 17, 39):
        window, drawn = next(made.drawn(data, data.names, images=images, start=start, device="cpu"))
        for ours, theirs in zip((*drawn.where, drawn.labels), (*whole[start][1].where, whole[start][1].labels), strict=True):
            assert ours.shape == (40,)
            assert torch.equal(ours, theirs)
        image, y, x = drawn.where
        assert torch.equal(drawn.labels, window.masks[image, y * 8 + x].long())


def test_short_fits_turn_faster_so_that_they_meet_every_image_twice(make_store):
    data = data_of(make_store())
    assert batches(iterations=10**6, pixels_per_batch=5)._turn_every(data, data.names) == 12
    assert batches(iterations=24, pixels_per_batch=5)._turn_every(data, data.names) == 3
    assert batches(iterations=3, pixels_per_batch=5)._turn_every(data, data.names) == 1


@pytest.mark.parametrize("sampling", ["uniform", "balanced", "root", "boundary"])
def test_pixels_are_drawn_by_their_weights(make_store, sampling):
    store = make_store(values=(0, 100, 255))
    data = data_of(store, sampling=sampling)
    window = Window(4, data, "cpu")
    for slot, labelled in enumerate(data):
        window.put(slot, labelled)
    image, pixel = window.draw(np.random.default_rng(0), 40000)
    drawn = np.zeros((4, 64))
    np.add.at(drawn, (image.numpy(), pixel.numpy()), 1)
    weights = np.stack([pixel_weights(data.masks[name], sampling, data.class_counts()).ravel() for name in data.names])
    assert not drawn[weights == 0].any()
    expected = weights / weights.sum() * 40000
    assert np.abs(drawn - expected).max() < 6 * np.sqrt(expected.max())
    if sampling == "balanced":
        labels = window.masks[image, pixel].numpy()
        np.testing.assert_allclose(np.bincount(labels), 40000 / 3, rtol=0.05)
