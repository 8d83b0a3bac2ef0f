"""The MLP: rows of pixels, layers on cells, and a training that follows from its seed."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
import torch
from head_suite import HeadSuite
from torch import nn

from tedm.errors import TedmError
from tedm.heads.base.checkpoint import FitState
from tedm.heads.base.head import HeadOptions
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import dense_rows, row_labels
from tedm.heads.mlp.head import MLPHead
from tedm.heads.mlp.memory import Memory
from tedm.heads.mlp.network import Committee
from tedm.heads.runtime.memory import Budget
from tedm.store import IGNORE

LAYOUTS = ["share", "concatenate"]
UPSAMPLINGS = ["nearest", "bilinear"]
NAMES = ("one", "two", "three", "four")
SMALL = {"hidden": (8, 4), "pixels_per_batch": 32, "iterations": 60}


class TestMLPHead(HeadSuite):
    head = "mlp"
    options = HeadOptions(iterations=30, learning_rate=2e-2)
    params: ClassVar = {"hidden": [16, 8]}
    validated = HeadOptions(iterations=10, patience=3)
    checked_params: ClassVar = {"iterations": 150, "pixels_per_batch": 16}

    @pytest.mark.slow
    def test_scikit_learns_contract_holds(self):
        super().test_scikit_learns_contract_holds()


class TestEnsemble(TestMLPHead):
    members = 3


def state(head):
    return {name: tensor.clone() for name, tensor in head.network_.state_dict().items()}


def same(ours, theirs):
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def data_of(store, rows="share", names=None, **changes):
    return TrainingData(store, names or store.labels.names, rows=rows, **changes)


# -- the network ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("rows", LAYOUTS)
def test_predicted_probabilities_equal_those_of_dense_rows(make_store, committee, rows, upsampling):
    store = make_store(upsampling=upsampling, draws=2)
    head = MLPHead(3, **SMALL).fit_blocks(data_of(store, rows))
    head.network_ = committee(3, head.n_features_in_, classes=2).eval()
    block = store.block("two")
    ours, dense = head.opinions(block, rows), dense_rows(block, rows)
    assert ours.shape == (3, len(dense), 2)
    with torch.inference_mode():
        expected = head.network_(torch.from_numpy(dense)[None]).softmax(dim=-1).numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(head.predict_proba(dense), ours.mean(axis=0), rtol=0, atol=1e-5)
    if rows == "share":  # whichever other timesteps are asked about
        assert np.array_equal(head.opinions(block.at([400]), rows), ours[:, 2 * 128 :])


# -- training ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", ["pixels", "images"])
@pytest.mark.parametrize("rows", LAYOUTS)
def test_a_seed_gives_its_bits_and_another_seed_others(make_store, rows, batch):
    data = data_of(make_store(), rows)
    of = {**SMALL, "batch": batch, "images_per_batch": 2, "iterations": 10}
    first, again, other = (MLPHead(2, seed=seed, **of).fit_blocks(data) for seed in (3, 3, 4))
    assert same(state(first), state(again))
    assert first.loss_curve_ == again.loss_curve_
    assert not same(state(first), state(other))


@pytest.mark.parametrize("batch", ["pixels", "images"])
@pytest.mark.parametrize("rows", LAYOUTS)
def test_the_loss_falls(make_store, rows, batch):
    of = {**SMALL, "batch": batch, "images_per_batch": 2, "iterations": 200, "learning_rate": 1e-2}
    head = MLPHead(2, **of).fit_blocks(data_of(make_store(upsampling="bilinear"), rows))
    assert len(head.loss_curve_) == 100
    assert head.n_iter_ == 200
    assert np.mean(head.loss_curve_[-10:]) < 0.75 * np.mean(head.loss_curve_[:5])
    assert head.validation_curve_ == []


def test_the_loss_of_shared_rows_is_the_mean_over_eight_timesteps(make_store, references):
    timesteps = (1, 10, 25, 50, 200, 400, 600, 800)
    store = make_store(timesteps=timesteps)
    mask = store.mask("one")
    data = data_of(store, names=["one"])
    head = MLPHead(batch="images", iterations=1, hidden=(8, 4), seed=5).fit_blocks(data)
    network = Committee(1, 5, (8, 4), 2, torch.Generator().manual_seed(5))  # as it was before that iteration
    (reference,) = references(network)
    dense = torch.from_numpy(dense_rows(store.block("one"), "share"))
    logits = reference(dense).reshape(8, 64, 2)
    labels = torch.from_numpy(mask.ravel()).long()
    each = [nn.functional.cross_entropy(of_timestep, labels, ignore_index=IGNORE) for of_timestep in logits]
    assert head.loss_curve_[0] == pytest.approx(float(torch.stack(each).mean().detach()), rel=1e-5)


def test_a_batch_of_pixels_is_labelled_pixels_with_all_their_timesteps(make_store):
    store = make_store(draws=2)
    data = data_of(store, pixels_per_image=10)
    rows = {
        dense.tobytes(): label
        for name in data.names
        for dense, label in zip(
            dense_rows(store.block(name), "share"), row_labels(data.masks[name], 3, 2, "share"), strict=True
        )
        if label != IGNORE
    }
    head = MLPHead(2, **SMALL, precision="float32")
    seen = []
    head._learn_rows = lambda batch, labels: seen.append((batch, labels))
    learning = begun(head, data)._learn_pixels(memory_of(head, data), FitState(len(data.names)))
    next(learning)
    learning.close()
    ((batch, labels),) = seen
    assert batch.shape == (2, 32 * 6, 5)
    for member in range(2):
        assert [rows[row.tobytes()] for row in batch[member].numpy()] == labels[member].tolist()
    assert not torch.equal(batch[0], batch[1])


def memory_of(head, data):
    """What the steps of a head that is ready to learn take."""
    return Memory(head._batches(), data, data.names, head.network_)


def begun(head, data):
    """Ready to learn."""
    head._begin(data.n_features, np.arange(len(data.classes)), data.class_counts())
    return head


def test_a_batch_of_whole_images_is_their_cells_and_labels_for_all_timesteps(make_store):
    store = make_store(names=("one", "two", "three", "four", "five"), draws=2)
    data = data_of(store)
    head = begun(MLPHead(2, batch="images", images_per_batch=2, hidden=(8, 4), iterations=4), data)
    seen = []
    head.network_.learn_images = lambda *of: seen.append(of) or torch.zeros(2)
    assert len(list(head._learn_images(memory_of(head, data), FitState(0)))) == 4
    for iteration, (cells, labels, *_) in enumerate(seen):
        names = head._batches().whole_images(data, data.names, iteration)
        for levels, name in zip(cells, names, strict=True):
            assert all(
                np.array_equal(ours.numpy(), theirs) for ours, theirs in zip(levels, store.block(name).cells, strict=True)
            )
        expected = np.concatenate([row_labels(store.mask(name), 3, 2, "share") for name in names])
        assert np.array_equal(labels.numpy(), expected)


class Counting:
    """Features that count how often a block is read."""

    def __init__(self, store):
        self.settings, self.storage, self.labels, self.mask = store.settings, store.storage, store.labels, store.mask
        self.chunk_channels = store.chunk_channels
        self.read, self._store = Counter(), store

    def blocks(self, names, timesteps=None):
        for block in self._store.blocks(names, timesteps):
            self.read[block.name] += 1
            yield block


@pytest.mark.parametrize("members", [1, 5])
def test_the_bytes_of_a_batch_are_read_once_for_all_members(make_store, members):
    counting = Counting(make_store())
    head = MLPHead(members, batch="images", images_per_batch=1, hidden=(8, 4), iterations=8)
    head.fit_blocks(data_of(counting, memory=Budget(kept=0)))  # two epochs
    assert counting.read == dict.fromkeys(NAMES, 2)
    counting.read.clear()
    head.fit_blocks(data_of(counting))  # all stay in memory
    assert counting.read == dict.fromkeys(NAMES, 1)


def test_members_trained_together_on_whole_images_are_those_trained_alone(make_store):
    data = data_of(make_store())
    # Widths of whole vector registers: Adam's kernel rounds the numbers that are left over otherwise on some processors.
    of = {"batch": "images", "images_per_batch": 2, "hidden": (16, 16), "iterations": 6}
    one, three = (MLPHead(members, **of).fit_blocks(data) for members in (1, 3))
    for ours, theirs in zip(one.network_.parameters(), three.network_.parameters(), strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert ours.numel() == 1 or not torch.equal(theirs[0], theirs[1])


@pytest.mark.parametrize(("batch", "images"), [("pixels", 1), ("pixels", 3)])
def test_a_memory_budget_below_the_data_ends_near_the_same_loss(make_store, batch, images):
    store = make_store()
    of = {
        "hidden": (8, 4),
        "pixels_per_batch": 12,
        "images_per_batch": 1,
        "batch": batch,
        "iterations": 150,
        "learning_rate": 1e-2,
    }
    whole = MLPHead(**of).fit_blocks(data_of(store))
    head = MLPHead(**of).fit_blocks(data_of(store, memory=Budget(kept=images * store.block("one").nbytes)))
    assert not same(state(whole), state(head))
    ours, expected = (np.mean(curve.loss_curve_[-40:]) for curve in (head, whole))
    assert ours == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("images_per_batch", [1, 3])
def test_whole_images_are_the_same_in_bits_whatever_the_memory(make_store, images_per_batch):
    of = {"hidden": (8, 4), "images_per_batch": images_per_batch, "batch": "images", "iterations": 12}
    block = make_store().block("one").nbytes
    whole, some, none = (
        MLPHead(**of).fit_blocks(data_of(make_store(), memory=memory))
        for memory in (None, Budget(kept=2 * block), Budget(kept=0))
    )
    assert same(state(whole), state(some))
    assert same(state(whole), state(none))


def test_the_head_says_how_many_images_its_batches_mix(make_store):
    store = make_store()
    kept = Budget(kept=3 * store.block("one").nbytes)
    for batch, memory, mixed in (("pixels", None, 4), ("pixels", kept, 3), ("pixels", kept, 3), ("images", Budget(kept=0), 4)):
        head = MLPHead(batch=batch, hidden=(8, 4), iterations=8).fit_blocks(
            data_of(store, memory=memory)
        )  # a budget has its memory back
        assert (head.report().details["images_mixed"], head.report().details["images_in_all"]) == (mixed, 4)


def test_class_weights_are_those_of_the_loss(make_store, references):
    data = data_of(make_store(), names=["one"])
    of = {"batch": "images", "iterations": 1, "hidden": (8, 4), "seed": 5}
    counts = data.class_counts()
    by_hand = {str(index): float(counts.sum() / (2 * count)) for index, count in enumerate(counts)}
    balanced, given, plain = (MLPHead(class_weight=w, **of).fit_blocks(data) for w in ("balanced", by_hand, None))
    assert same(state(balanced), state(given))
    assert balanced.loss_curve_[0] != plain.loss_curve_[0]
    (reference,) = references(Committee(1, 5, (8, 4), 2, torch.Generator().manual_seed(5)))
    logits = reference(torch.from_numpy(dense_rows(data.features.block("one"), "share")))
    labels = torch.from_numpy(row_labels(data.masks["one"], 3, 1, "share")).long()
    weight = torch.tensor(list(by_hand.values()))
    expected = nn.functional.cross_entropy(logits, labels, weight=weight, ignore_index=IGNORE)
    assert balanced.loss_curve_[0] == pytest.approx(float(expected.detach()), rel=1e-5)
    with pytest.raises(TedmError, match="no class weights 'even'"):
        MLPHead(class_weight="even", **of).fit_blocks(data)


@pytest.mark.parametrize("batch", ["pixels", "images"])
def test_a_class_that_no_pixel_shows_has_no_chance(make_store, tmp_path, batch):
    data = data_of(make_store(values=(0, 7, 9), shown=(0, 2)))
    head = MLPHead(2, batch=batch, **SMALL).fit_blocks(data)
    head.save(tmp_path)
    again = MLPHead(**head.constructor())
    again.restore(tmp_path, features=5, classes=3)
    block = data.features.block("one")
    opinions = again.opinions(block, "share")
    assert np.array_equal(opinions, head.opinions(block, "share"))
    assert not opinions[..., 1].any()
    assert not again.predict_proba(dense_rows(block, "share"))[:, 1].any()
    np.testing.assert_allclose(opinions.sum(axis=-1), 1, atol=1e-6)


# -- memory --------------------------------------------------------------------------------------------------------------


# -- going on ------------------------------------------------------------------------------------------------------------


class WithoutLabels:
    """Features of which one image has no labelled pixel."""

    def __init__(self, store, name):
        self.settings, self.storage, self.labels, self.blocks = store.settings, store.storage, store.labels, store.blocks
        self.chunk_channels = store.chunk_channels
        self.mask = lambda other: np.full((8, 8), IGNORE, np.uint8) if other == name else store.mask(other)


@pytest.mark.parametrize("batch", ["pixels", "images"])
@pytest.mark.parametrize("kept", [None, 0])
def test_an_image_without_labels_changes_nothing(make_store, batch, kept):
    store = WithoutLabels(make_store(), "two")
    of = {**SMALL, "batch": batch, "images_per_batch": 1, "iterations": 12}
    labelled = MLPHead(**of).fit_blocks(data_of(store, names=["one", "three", "four"], memory=Budget(kept=kept)))
    data = data_of(store, memory=Budget(kept=kept))
    assert same(state(MLPHead(**of).fit_blocks(data)), state(labelled))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"members": 0}, "members is 0"),
        ({"iterations": 0}, "iterations is 0"),
        ({"pixels_per_batch": 0}, "pixels_per_batch is 0"),
        ({"learning_rate": 0.0}, "the learning rate is 0.0"),
        ({"learning_rate": float("nan")}, "the learning rate is nan"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0; it must be at least 0"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; it must be from 0 to below 1"),
        ({"dropout": -0.1}, "dropout is -0.1; it must be from 0 to below 1"),
        ({"dropout": 0.1, "batch": "images"}, "dropout is for batches of pixels; leave it out"),
        ({"batch": "image"}, "no batches of 'image'; choose pixels or images"),
        ({"learning_rate": 1e30}, "the loss is no longer finite after .* lower the learning rate"),
    ],
)
def test_wrong_settings_are_refused(make_store, wrong, message):
    with pytest.raises(TedmError, match=message):
        MLPHead(**{**SMALL, **wrong}).fit_blocks(data_of(make_store(), names=["one"]))


def test_rows_in_memory_with_any_labels(rng):
    x = rng.normal(size=(300, 4))
    y = np.array(["below", "above"])[(x[:, 1] > 0).astype(int)]
    head = MLPHead(3, hidden=(8, 4), pixels_per_batch=64, iterations=200, learning_rate=1e-2).fit(x, y)
    assert head.classes_.tolist() == ["above", "below"]
    assert head.score(x, y) > 0.95
    np.testing.assert_allclose(head.predict_proba(x).sum(axis=1), 1, atol=1e-6)
    with pytest.raises(ValueError, match="255 classes at most, got 300"):
        MLPHead(iterations=1).fit(np.repeat(x, 2, axis=0), np.repeat(np.arange(300), 2))
