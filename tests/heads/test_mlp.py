"""The MLP: rows of pixels, layers on cells, and a training that follows from its seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from tedm.errors import TedmError
from tedm.heads.budget import Budget
from tedm.heads.mlp import MLPHead, flatness
from tedm.heads.network import Committee, hidden_sizes, upsample_tensor
from tedm.heads.rows import dense_rows, gather_rows, row_labels
from tedm.heads.training import TrainingData
from tedm.store import IGNORE
from tedm.store.layout import upsample

LAYOUTS = ["share", "concatenate"]
UPSAMPLINGS = ["nearest", "bilinear"]
SMALL = {"hidden": (8, 4), "pixels_per_batch": 32, "iterations": 60}


def committee(members, features, classes=3, hidden=(6, 4), seed=0):
    """With scales, shifts and running statistics that are not the initial ones."""
    generator = torch.Generator().manual_seed(seed)
    network = Committee(members, features, hidden, classes, generator)
    with torch.no_grad():
        for tensor in (*network.scales, *network.shifts, *network.buffers()):
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


def tensors(block, dtype=torch.float32):
    return [torch.from_numpy(level).to(dtype)[None] for level in block.cells]


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


@given(
    side=st.sampled_from([1, 2, 4, 8]),
    stride=st.integers(1, 4),
    upsampling=st.sampled_from(UPSAMPLINGS),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_upsampling_of_tensors_equals_that_of_arrays(side, stride, upsampling, seed):
    cells = np.random.default_rng(seed).normal(size=(2, 3, side, side, 2))
    ours = upsample_tensor(torch.from_numpy(cells), side * stride, upsampling).numpy()
    np.testing.assert_allclose(ours, upsample(cells, side * stride, upsampling), rtol=0, atol=1e-12)


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
def test_the_first_layer_on_cells_equals_it_on_dense_rows(make_store, rows, upsampling):
    store = make_store(upsampling=upsampling, draws=2)
    blocks = list(store.blocks(["one", "two"]))
    dense = torch.from_numpy(np.concatenate([dense_rows(block, rows) for block in blocks]))
    cells = [torch.from_numpy(np.stack(level)) for level in zip(*(block.cells for block in blocks), strict=True)]
    network = committee(3, dense.shape[1]).eval()
    product = network.first_on_cells(cells, 8, upsampling, rows)
    torch.testing.assert_close(product, dense @ network.weights[0], rtol=0, atol=2e-5)
    torch.testing.assert_close(network.after_first(product), network(dense[None]), rtol=0, atol=1e-4)


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
    generator = head._begin(5, 2)
    seen = []
    head.network_.forward = lambda batch: seen.append(batch) or batch[..., :2]
    _, labels = next(head._pixel_batches(data, generator))
    (batch,) = seen
    assert batch.shape == (2, 32 * 6, 5)
    for member in range(2):
        assert [rows[row.tobytes()] for row in batch[member].numpy()] == labels[member].tolist()
    assert not torch.equal(batch[0], batch[1])


def test_batches_of_whole_images_use_every_image(make_store):
    store = make_store(names=("one", "two", "three", "four", "five"))
    data = data_of(store)
    head = MLPHead(2, batch="images", images_per_batch=2, hidden=(8, 4))
    batches = head._image_batches(data, head._begin(5, 2))
    labels = {store.mask(name).tobytes(): name for name in data.names}
    met = Counter()
    for number in range(20):
        _, expected = next(batches)
        assert torch.equal(expected[0], expected[1])
        images = expected[0].reshape(2, 3, 64)
        names = [labels[of_image[0].numpy().astype(np.uint8).tobytes()] for of_image in images]
        assert all(torch.equal(of_image[0], of_image[2]) for of_image in images)
        if number % 2 == 0:
            epoch = set()
        assert not epoch & set(names)
        epoch |= set(names)
        met.update(names)
    assert set(met) == set(data.names)


@pytest.mark.parametrize(("batch", "images"), [("pixels", 1), ("pixels", 3), ("images", 3)])
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


def test_whole_images_one_by_one_are_the_same_in_bits_without_any_memory(make_store):
    of = {"hidden": (8, 4), "images_per_batch": 1, "batch": "images", "iterations": 12}
    whole, one_by_one = (MLPHead(**of).fit_blocks(data_of(make_store(), memory=memory)) for memory in (None, Budget(kept=0)))
    assert same(state(whole), state(one_by_one))


@pytest.mark.parametrize("batch", ["pixels", "images"])
def test_groups_lie_in_the_same_memory_and_turns_reach_every_image(make_store, batch):
    store = make_store()
    data = data_of(store, memory=Budget(kept=3 * store.block("one").nbytes))
    groups = MLPHead(batch=batch)._groups(data, torch.Generator().manual_seed(0))
    names = {store.block(name).cells[0].tobytes(): name for name in data.names}
    for _ in range(3):
        met, places = [], set()
        for size in (3, 1):
            cells, masks, all_of_them = next(groups)
            assert not all_of_them
            assert len(cells[0]) == len(masks) == size
            places.add(cells[0].data_ptr())
            for of_image, mask in zip(cells[0], masks, strict=True):
                met.append(names[of_image.numpy().tobytes()])
                assert np.array_equal(mask, store.mask(met[-1]))
        assert sorted(met) == sorted(data.names)
        assert len(places) == 1


class WithoutLabels:
    """Features of which one image has no labelled pixel."""

    def __init__(self, store, name):
        self.settings, self.storage, self.labels, self.blocks = store.settings, store.storage, store.labels, store.blocks
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
    head = MLPHead(hidden=(16, 8), pixels_per_batch=64, iterations=150, learning_rate=1e-2)
    failed = [r for r in check_estimator(head, on_skip=None, on_fail=None) if r["status"] == "failed"]
    assert not failed, [(r["check_name"], r["exception"]) for r in failed]
