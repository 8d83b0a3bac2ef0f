"""The MLP: rows of pixels, layers on cells, and a training that follows from its seed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from tedm.errors import TedmError
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import dense_rows, gather_rows, row_labels
from tedm.heads.data.sampling import pixel_weights
from tedm.heads.mlp import checkpoint as resume
from tedm.heads.mlp.batches import Window
from tedm.heads.mlp.checkpoint import FitState
from tedm.heads.mlp.head import MLPHead, flatness
from tedm.heads.mlp.network import Committee, hidden_sizes
from tedm.heads.runtime.memory import HELD, Budget, resident
from tedm.store import IGNORE

LAYOUTS = ["share", "concatenate"]
UPSAMPLINGS = ["nearest", "bilinear"]
NAMES = ("one", "two", "three", "four")
SMALL = {"hidden": (8, 4), "pixels_per_batch": 32, "iterations": 60}


def committee(members, features, classes=3, hidden=(6, 4), seed=0):
    """With scales, shifts and running statistics that are not the initial ones."""
    generator = torch.Generator().manual_seed(seed)
    network = Committee(members, features, hidden, classes, generator)
    with torch.no_grad():
        running = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
        for tensor in (*network.scales, *network.shifts, *running):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network


def references(network):
    """Each member as torch's own layers with the same numbers."""
    out = []
    for member in range(len(network.weights[0])):
        layers = []
        for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            linear = nn.Linear(*weight.shape[1:])
            linear.weight.data, linear.bias.data = weight[member].detach().T.clone(), bias[member, 0].detach().clone()
            layers.append(linear)
            if layer < len(network.scales):
                norm = nn.BatchNorm1d(weight.shape[2])
                norm.weight.data = network.scales[layer][member, 0].detach().clone()
                norm.bias.data = network.shifts[layer][member, 0].detach().clone()
                norm.running_mean = network.get_buffer(f"mean_{layer}")[member, 0].clone()
                norm.running_var = network.get_buffer(f"variance_{layer}")[member, 0].clone()
                layers += [nn.ReLU(), norm]
        out.append(nn.Sequential(*layers))
    return out


def state(head):
    return {name: tensor.clone() for name, tensor in head.network_.state_dict().items()}


def same(ours, theirs):
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def data_of(store, rows="share", names=None, **changes):
    return TrainingData(store, names or store.labels.names, rows=rows, **changes)


# -- the network ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_member_is_linear_relu_batch_norm_of_torch(mode):
    network = committee(2, 5)
    rows = torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(1)) * 2 + 1
    members = references(network)
    for module in (network, *members):
        module.train(mode == "train")
    for _ in range(3):
        ours = network(rows)
        for member, reference in enumerate(members):
            torch.testing.assert_close(ours[member], reference(rows[member]), rtol=0, atol=1e-5)
    for member, reference in enumerate(members):
        for layer in (0, 1):
            norm = reference[3 * layer + 2]
            torch.testing.assert_close(network.get_buffer(f"mean_{layer}")[member, 0], norm.running_mean)
            torch.testing.assert_close(network.get_buffer(f"variance_{layer}")[member, 0], norm.running_var)
    labels = torch.arange(40) % 3
    nn.functional.cross_entropy(network(rows).transpose(1, 2), labels.expand(2, -1), reduction="sum").backward()
    for member, reference in enumerate(members):
        nn.functional.cross_entropy(reference(rows[member]), labels, reduction="sum").backward()
        torch.testing.assert_close(network.weights[0].grad[member], reference[0].weight.grad.T, rtol=1e-4, atol=1e-4)


def test_initial_weights_are_within_torchs_bound_and_fill_it():
    network = Committee(3, 50, (128, 32), 2, torch.Generator().manual_seed(0))
    for tensors_of, fan_in in ((network.weights, (50, 128, 32)), (network.biases, (50, 128, 32))):
        for tensor, fan in zip(tensors_of, fan_in, strict=True):
            assert 0.5 * fan**-0.5 < tensor.abs().max() <= fan**-0.5
    assert hidden_sizes(29) == (128, 32)
    assert hidden_sizes(30) == (256, 128)


def test_a_member_starts_alike_in_ensembles_of_all_sizes():
    three, five = (Committee(n, 7, (6, 4), 3, torch.Generator().manual_seed(9)) for n in (3, 5))
    for ours, theirs in zip(three.parameters(), five.parameters(), strict=True):
        assert torch.equal(ours, theirs[:3])
    assert not torch.equal(five.weights[0][0], five.weights[0][1])


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("rows", LAYOUTS)
@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_gathered_rows_are_the_dense_rows_of_these_pixels(make_store, rows, upsampling, layout):
    store = make_store(upsampling=upsampling, layout=layout, draws=2)
    blocks = list(store.blocks(["one", "two", "three"]))
    cells = [torch.from_numpy(np.stack(level)) for level in zip(*(block.cells for block in blocks), strict=True)]
    image, y, x = torch.tensor([[2, 0, 1, 2, 0, 0], [0, 7, 3, 5, 0, 7], [1, 0, 6, 7, 0, 7]])
    ours = gather_rows(cells, (image, y, x), 8, upsampling, rows).numpy()
    lead = (3, 2) if rows == "share" else (2,)
    whole = np.stack([dense_rows(block, rows).reshape(*lead, 8, 8, -1) for block in blocks])
    expected = np.concatenate(
        [whole[i][..., j, k, :].reshape(-1, whole.shape[-1]) for i, j, k in zip(image, y, x, strict=True)]
    )
    if upsampling == "nearest":
        assert ours.tobytes() == expected.tobytes()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("rows", LAYOUTS)
def test_predicted_probabilities_equal_those_of_dense_rows(make_store, rows, upsampling):
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


def test_progress_is_told_a_hundred_times(make_store):
    told = []
    of = {**SMALL, "iterations": 250}
    head = MLPHead(**of).fit_blocks(data_of(make_store()), progress=lambda *args: told.append(args))
    assert len(told) == 100
    assert told[-1] == (250, 250, head.loss_curve_[-1])


def test_flatness_is_the_relative_fall_of_the_last_tenth():
    assert flatness([9.0] * 80 + [4.0] * 10 + [3.0] * 10) == pytest.approx(0.25)
    assert flatness([9.0] * 16 + [2.0, 4.0, 3.0, 6.0]) == pytest.approx(-0.5)
    assert flatness([2.0, 1.0]) == pytest.approx(0.5)
    assert flatness([2.0]) == 0
    assert flatness(np.array([5.0] * 90 + [5.0] * 10)) == 0


def test_the_loss_of_shared_rows_is_the_mean_over_eight_timesteps(make_store):
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
    head = MLPHead(2, **SMALL)
    seen = []
    head._learn_rows = lambda batch, labels: seen.append((batch, labels))
    learning = begun(head, data)._learn_pixels(data, data.names, FitState(len(data.names)))
    next(learning)
    learning.close()
    ((batch, labels),) = seen
    assert batch.shape == (2, 32 * 6, 5)
    for member in range(2):
        assert [rows[row.tobytes()] for row in batch[member].numpy()] == labels[member].tolist()
    assert not torch.equal(batch[0], batch[1])


def begun(head, data):
    """Ready to learn."""
    head._begin(data.n_features, np.arange(len(data.classes)), data.class_counts())
    return head


def test_batches_of_whole_images_use_every_image(make_store):
    store = make_store(names=("one", "two", "three", "four", "five"))
    data = data_of(store)
    head = MLPHead(2, batch="images", images_per_batch=2, hidden=(8, 4), iterations=20)
    met, neighbours = Counter(), set()
    for iteration in range(20):
        names = head._image_batch(data, data.names, iteration)
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


def test_a_batch_of_whole_images_is_their_cells_and_labels_for_all_timesteps(make_store):
    store = make_store(names=("one", "two", "three", "four", "five"), draws=2)
    data = data_of(store)
    head = begun(MLPHead(2, batch="images", images_per_batch=2, hidden=(8, 4), iterations=4), data)
    seen = []
    head.network_.learn_images = lambda *of: seen.append(of) or torch.zeros(2)
    assert len(list(head._learn_images(data, data.names, FitState(0)))) == 4
    for iteration, (cells, labels, *_) in enumerate(seen):
        names = head._image_batch(data, data.names, iteration)
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


def windows(head, data, state):
    """Names in the window of each iteration, and where they lie."""
    names = {data.features.block(name).cells[0].tobytes(): name for name in data.names}
    for window in begun(head, data)._windows(data, data.names, state):
        held = [names[of_image.numpy().tobytes()] for of_image in window.cells[0]]
        for name, mask in zip(held, window.masks, strict=True):
            assert np.array_equal(mask.reshape(8, 8), data.features.mask(name))
        yield held, window.cells[0].data_ptr()


def test_a_window_lies_in_one_place_and_turns_reach_every_image(make_store):
    data = data_of(make_store())
    head = MLPHead(iterations=40, pixels_per_batch=20)
    held, places = zip(*windows(head, data, FitState(3)), strict=True)
    assert len(held) == 40
    assert len(set(places)) == 1
    changes = [i for i in range(1, 40) if held[i] != held[i - 1]]
    every = head._turn_every(data, data.names)
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
    head = MLPHead(iterations=30, pixels_per_batch=20)
    whole = list(islice(windows(head, data, FitState(images)), 30))
    for start in (1, 7, 8, 29):
        again = islice(windows(head, data, FitState(images, iteration=start)), 30 - start)
        assert [held for held, _ in again] == [held for held, _ in whole[start:]]


def test_short_fits_turn_faster_so_that_they_meet_every_image_twice(make_store):
    data = data_of(make_store())
    assert MLPHead(iterations=10**6, pixels_per_batch=5)._turn_every(data, data.names) == 12
    assert MLPHead(iterations=24, pixels_per_batch=5)._turn_every(data, data.names) == 3
    assert MLPHead(iterations=3, pixels_per_batch=5)._turn_every(data, data.names) == 1


def test_the_head_says_how_many_images_its_batches_mix(make_store):
    store = make_store()
    kept = Budget(kept=3 * store.block("one").nbytes)
    for batch, memory, mixed in (("pixels", None, 4), ("pixels", kept, 3), ("pixels", kept, 3), ("images", Budget(kept=0), 4)):
        head = MLPHead(batch=batch, hidden=(8, 4), iterations=8).fit_blocks(
            data_of(store, memory=memory)
        )  # a budget has its memory back
        assert (head.account()["images_mixed"], head.account()["images_in_all"]) == (mixed, 4)


@pytest.mark.parametrize("sampling", ["uniform", "balanced", "boundary"])
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


def test_class_weights_are_those_of_the_loss(make_store):
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


def test_a_budget_that_holds_no_batch_is_refused_with_what_would_do(make_store, monkeypatch):
    data = data_of(make_store())
    head = begun(MLPHead(batch="images", images_per_batch=4, hidden=(8, 4)), data)
    now = resident()
    monkeypatch.setattr("tedm.heads.runtime.memory.resident", lambda: now)
    needs = [head._images_need(data, data.names, images) for images in (2, 3)]
    data.budget.total, data.budget.was_given = now + HELD + int(1.05 * sum(needs) / 2), True
    with pytest.raises(TedmError, match=r"batches of 4 whole images: .* --memory \d+MB; or --images-per-batch 2 would fit"):
        head._require(data, data.names, 0)
    data.budget.total = now + 1000
    with pytest.raises(TedmError, match=r"32 pixels beside the activations of 2 images: .* or a smaller --pixels-per-batch"):
        begun(MLPHead(**SMALL), data)._require(data, data.names, 2)


# -- going on ------------------------------------------------------------------------------------------------------------


class Stop:
    """A signal after so many blocks were read or losses told: anywhere in an iteration."""

    def __init__(self, number, which=signal.SIGINT):
        self.left, self.which = number, which

    def __call__(self, *_):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.which)


@pytest.mark.parametrize("patience", [None, 20])
@pytest.mark.parametrize(("batch", "kept"), [("pixels", None), ("pixels", 2), ("images", None), ("images", 0)])
def test_an_interrupted_fit_goes_on_to_the_same_bits(make_store, tmp_path, monkeypatch, batch, kept, patience):
    store = make_store()
    val = data_of(store, names=["four"])
    of = {**SMALL, "batch": batch, "images_per_batch": 2, "iterations": 48, "learning_rate": 1e-2, "patience": patience}

    def train(stop=None, checkpoint=None, where=None):
        memory = None if kept is None else Budget(kept=kept * store.block("one").nbytes)
        head, data = MLPHead(2, **of), data_of(store, names=["one", "two", "three"], memory=memory)
        with monkeypatch.context() as patch:
            if where is not None:
                owner, name = where
                real = getattr(owner, name)
                patch.setattr(owner, name, lambda *args, **more: [real(*args, **more), stop()][0])
            return head.fit_blocks(data, val, checkpoint=checkpoint)

    whole = train()
    # In the forward pass, right after Adam, and while validating.
    places = [(Committee, "_follow"), (torch.optim.Adam, "step"), (MLPHead, "_loss_on")][: 3 if patience else 2]
    path = tmp_path / "fit.state"
    for number, where in ((1, 0), (5, 0), (22, 1), (17, 2 % len(places)), (9, 0)):
        with pytest.raises(KeyboardInterrupt):
            train(Stop(number), path, places[where])
        assert list(tmp_path.iterdir()) == [path]
    head = train(checkpoint=path)
    assert same(state(head), state(whole))
    assert head.loss_curve_ == whole.loss_curve_
    assert head.validation_curve_ == whole.validation_curve_
    assert head.n_iter_ == whole.n_iter_
    again = train(checkpoint=path)  # all is done, but the head was not saved, say
    assert same(state(again), state(whole))


def test_sigterm_leaves_a_checkpoint_and_so_does_time(make_store, tmp_path, monkeypatch):
    data, path = data_of(make_store()), tmp_path / "fit.state"
    before = signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
    try:
        with pytest.raises(SystemExit):
            MLPHead(**SMALL).fit_blocks(data, progress=Stop(3, signal.SIGTERM), checkpoint=path)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert path.exists()
    path.unlink()
    monkeypatch.setattr(resume, "CHECKPOINT_SECONDS", 0)
    there = []
    MLPHead(**SMALL).fit_blocks(data, progress=lambda *_: there.append(path.exists()), checkpoint=path)
    assert there == [False] + [True] * 59


def test_a_checkpoint_of_another_fit_is_refused(make_store, tmp_path):
    store, path = make_store(), tmp_path / "fit.state"
    with pytest.raises(KeyboardInterrupt):
        MLPHead(**SMALL).fit_blocks(data_of(store), progress=Stop(5), checkpoint=path)
    for changes, of, what in (
        ({"seed": 1}, {}, "seed"),
        ({"pixels_per_batch": 33}, {}, "pixels per batch"),
        ({}, {"names": ["one", "two"]}, "images"),
        ({}, {"pixels_per_image": 9}, "masks"),
        ({}, {"sampling": "balanced"}, "sampling"),
        ({}, {"rows": "concatenate"}, "rows"),
    ):
        with pytest.raises(TedmError, match=rf"is of another fit \({what} differs\); delete it to start again"):
            MLPHead(**{**SMALL, **changes}).fit_blocks(data_of(store, **of), checkpoint=path)
    with pytest.raises(TedmError, match="was made with 4 images in memory, for which the budget is too small"):
        MLPHead(**SMALL).fit_blocks(data_of(store, memory=Budget(kept=0)), checkpoint=path)
    os.truncate(path, 100)
    with pytest.raises(TedmError, match="fit.state is damaged .* delete it to start again"):
        MLPHead(**SMALL).fit_blocks(data_of(store), checkpoint=path)
    with pytest.raises(TedmError, match="there is no folder"):
        MLPHead(**SMALL).fit_blocks(data_of(store), checkpoint=tmp_path / "absent" / "fit.state")


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


def test_stopping_early_keeps_the_best_weights(make_store):
    store = make_store()
    train, val = data_of(store, names=["one"], pixels_per_image=6), data_of(store, names=["three", "four"])
    of = {**SMALL, "iterations": 500, "learning_rate": 3e-2, "seed": 1}
    head = MLPHead(patience=3, **of).fit_blocks(train, val)
    best = int(np.argmin(head.validation_curve_))
    assert len(head.validation_curve_) == best + 4 < 50
    assert head.n_iter_ == 10 * (best + 1)
    assert head._loss_on(val) == pytest.approx(head.validation_curve_[best], rel=1e-6)
    opinions = [head.opinions(store.block(name), "share")[0] for name in val.names]
    labels = np.concatenate([row_labels(store.mask(name), 3, 1, "share") for name in val.names])
    own = np.concatenate(opinions)[labels != IGNORE][np.arange((labels != IGNORE).sum()), labels[labels != IGNORE]]
    assert head._loss_on(val) == pytest.approx(-np.log(own).mean(), rel=1e-5)


def test_it_stops_early_only_when_asked(make_store):
    store = make_store()
    train, val = data_of(store, names=["one"], pixels_per_image=6), data_of(store, names=["three", "four"])
    of = {**SMALL, "iterations": 100, "learning_rate": 3e-2, "seed": 1}
    head = MLPHead(**of).fit_blocks(train, val)
    assert head.n_iter_ == 100
    assert head.validation_curve_ == []
    assert same(state(head), state(MLPHead(**of).fit_blocks(train)))
    with pytest.raises(TedmError, match="patience needs validation images"):
        MLPHead(patience=3, **of).fit_blocks(train)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"members": 0}, "members is 0"),
        ({"iterations": 0}, "iterations is 0"),
        ({"pixels_per_batch": 0}, "pixels_per_batch is 0"),
        ({"learning_rate": 0.0}, "the learning rate is 0.0"),
        ({"learning_rate": float("nan")}, "the learning rate is nan"),
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


@pytest.mark.slow
def test_scikit_learns_contract_holds():
    head = MLPHead(hidden=(16, 8), pixels_per_batch=16, iterations=150, learning_rate=1e-2)
    failed = [r for r in check_estimator(head, on_skip=None, on_fail=None) if r["status"] == "failed"]
    assert not failed, [(r["check_name"], r["exception"]) for r in failed]
