"""What a head is fitted on: which pixels, and how often they are read."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.design import Scratch
from tedm.heads.data.rows import dense_rows
from tedm.heads.runtime.memory import Budget
from tedm.store import IGNORE


class Counted:
    """Features that count how often each image is read."""

    def __init__(self, store):
        self.settings, self.storage, self.labels, self.mask = store.settings, store.storage, store.labels, store.mask
        self.chunk_channels, self._store = store.chunk_channels, store
        self.reads = Counter()

    def blocks(self, names, timesteps=None):
        for block in self._store.blocks(names, timesteps):
            self.reads[block.name] += 1
            yield block


class Unlabelled(Counted):
    """The same without any mask."""

    def __init__(self, store):
        super().__init__(store)
        self.mask = lambda name: np.full_like(store.mask(name), IGNORE)


def test_a_pass_gives_images_in_order_with_their_masks(make_store):
    store = make_store()
    data = TrainingData(store, ["three", "one"], rows="share", timesteps=(50,))
    assert len(data) == 2
    assert data.n_features == 5
    for _ in range(2):
        for labelled, name in zip(data, ["three", "one"], strict=True):
            assert labelled.block.name == name
            assert labelled.block.timesteps == (50,)
            assert np.array_equal(labelled.mask, store.mask(name))
    counts = sum((np.bincount(store.mask(name).ravel(), minlength=256)[:2] for name in ("one", "three")), np.zeros(2, int))
    assert data.class_counts().tolist() == counts.tolist()


@pytest.mark.parametrize("rows", ["share", "concatenate"])
def test_designs_are_the_rows_and_their_labels(make_store, rows):
    store = make_store(draws=2)
    data = TrainingData(store, store.labels.names, rows=rows)
    for name in store.labels.names:
        dense, met = dense_rows(store.block(name), rows), []
        (image,) = data.images([name])
        assert image.name == name
        for part in image.parts("float64", Scratch()):
            labels = part.labels
            assert np.array_equal(labels, np.tile(store.mask(name).ravel(), len(labels) // store.mask(name).size))
            met.append(part.design.matmat(np.eye(data.n_features)))
            assert part.design.shape == met[-1].shape == (len(labels), data.n_features)
        assert np.concatenate(met).shape == dense.shape
        np.testing.assert_allclose(np.concatenate(met), dense, rtol=1e-12)


@pytest.mark.parametrize("rows", ["share", "concatenate"])
def test_some_rows_are_labelled_ones_each_once_and_the_first_of_more(make_store, rows):
    store = make_store(draws=2, values=(0, 1, 2), shown=(0, 2))
    (image,) = TrainingData(store, ["two"], rows=rows, pixels_per_image=20).images(["two"])
    mask = image.labelled.mask.ravel()
    repeats = 6 if rows == "share" else 2
    found, labels = image.some(1000)
    assert len(found) == len(labels) == 20 * repeats
    dense, known = dense_rows(store.block("two"), rows), np.tile(mask, repeats)
    wanted = sorted(zip(map(bytes, dense[known != 255]), known[known != 255], strict=True))
    assert sorted(zip(map(bytes, found), labels, strict=True)) == wanted
    assert len({bytes(row) for row in found[:20]}) == 20  # of one pixel each
    assert np.array_equal(image.some(7)[0], found[:7])
    assert np.array_equal(image.some(7)[1], labels[:7])


def test_drawn_pixels_depend_on_seed_and_name_alone(make_store):
    store = make_store()
    of = {"rows": "share", "pixels_per_image": 9}
    whole = TrainingData(store, store.labels.names, **of)
    for name, drawn in whole.masks.items():
        mask = store.mask(name)
        assert (drawn != IGNORE).sum() == 9
        assert np.array_equal(drawn[drawn != IGNORE], mask[drawn != IGNORE])
        alone = TrainingData(store, [name], **of).masks[name]
        assert np.array_equal(alone, drawn)
        assert not np.array_equal(TrainingData(store, [name], seed=1, **of).masks[name], drawn)
    more = TrainingData(store, ["one"], rows="share", pixels_per_image=20).masks["one"]
    assert set(np.flatnonzero(whole.masks["one"] != IGNORE)) < set(np.flatnonzero(more != IGNORE))
    same = make_store(layout="upsampled", upsampling="bilinear", timesteps=(7, 9))
    assert np.array_equal(TrainingData(same, ["one"], **of).masks["one"], whole.masks["one"])
    assert not np.array_equal(whole.masks["one"] != IGNORE, whole.masks["two"] != IGNORE)
    everything = TrainingData(store, ["one"], rows="share", pixels_per_image=1000).masks["one"]
    assert np.array_equal(everything, store.mask("one"))


def test_no_label_one_class_and_no_pixel_are_refused(make_store):
    store = make_store()
    with pytest.raises(TedmError, match="no pixel of these 4 images has a label; add masks with tedm-label"):
        TrainingData(Unlabelled(store), store.labels.names, rows="share")
    with pytest.raises(TedmError, match=r"all labelled pixels of these 2 images have one class \(mask value 255\)"):
        TrainingData(make_store(shown=(1,)), ["one", "two"], rows="share")
    with pytest.raises(TedmError, match="--pixels-per-image is 0"):
        TrainingData(make_store(), ["one"], rows="share", pixels_per_image=0)


def test_images_in_memory_are_read_once_and_others_at_every_pass(make_store):
    store = make_store()
    nbytes = store.block("one").nbytes
    for memory, reads in ((4 * nbytes, [1, 1, 1, 1]), (2 * nbytes + 1, [1, 1, 3, 3]), (0, [3, 3, 3, 3])):
        counted = Counted(store)
        data = TrainingData(counted, store.labels.names, rows="share", memory=Budget(kept=memory))
        for _ in range(3):
            assert [labelled.block.name for labelled in data] == list(store.labels.names)
        assert [counted.reads[name] for name in store.labels.names] == reads


@pytest.mark.parametrize("names", [["one", "two", "three"], ["one", "two", "one", "three"]])
def test_passes_that_overlap_keep_masks_and_blocks_together(make_store, names):
    store = make_store()
    data = TrainingData(store, sorted(set(names)), rows="share", memory=Budget(kept=2 * store.block("one").nbytes))
    first, second = data.read(names), data.read(names)
    next(first)
    met = [next(second), next(first), next(first), *second, *first]
    assert len(met) == 2 * len(names) - 1
    for labelled in met:
        assert np.array_equal(labelled.mask, store.mask(labelled.block.name))
        assert np.array_equal(labelled.block.cells[0], store.block(labelled.block.name).cells[0])
    assert [labelled.block.name for labelled in data.read(names)] == names


def test_pixels_that_were_drawn_by_their_weights_are_not_weighted_again(make_store):
    store = make_store()
    names = store.labels.names
    assert TrainingData(store, names, rows="share", sampling="boundary").sampling == "boundary"
    assert TrainingData(store, names, rows="share", sampling="boundary", pixels_per_image=5).sampling == "uniform"


@pytest.mark.parametrize("rows", ["share", "concatenate"])
def test_the_same_images_as_other_rows_are_those_of_data_made_so(make_store, rows):
    store = make_store(draws=2)
    whole = TrainingData(store, store.labels.names, rows="concatenate", pixels_per_image=9, sampling="balanced", seed=3)
    other = whole.as_rows(rows, (400, 1))
    made = TrainingData(
        store, store.labels.names, rows=rows, timesteps=(400, 1), pixels_per_image=9, sampling="balanced", seed=3
    )
    assert (whole.rows, whole.timesteps) == ("concatenate", (1, 50, 400))
    for what in ("rows", "timesteps", "names", "classes", "sampling", "n_features", "n_rows", "block_bytes"):
        assert getattr(other, what) == getattr(made, what), what
    chunks = zip(other.row_chunks(other.names, 10**6), made.row_chunks(made.names, 10**6), strict=True)
    for (name, ours, labels), (expected_name, theirs, expected) in chunks:
        assert (name, ours.tobytes(), labels.tobytes()) == (expected_name, theirs.tobytes(), expected.tobytes())
    assert other.budget is whole.budget


def test_blocks_that_are_let_go_give_back_their_room_and_are_read_again(make_store):
    store = make_store()
    counted, budget = Counted(store), Budget(kept=10**6)
    whole = TrainingData(counted, store.labels.names, rows="concatenate", memory=budget)
    for timesteps in ((1, 50), (400,)):
        part = whole.as_rows("share", timesteps)
        list(part), list(part)
        assert budget.keepable() == 10**6 - 4 * store.block("one").at(timesteps).nbytes
        part.let_go()
        assert budget.keepable() == 10**6
    assert set(counted.reads.values()) == {2}
    list(part)
    assert set(counted.reads.values()) == {3}
