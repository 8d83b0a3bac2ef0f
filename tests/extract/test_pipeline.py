"""The pipeline's promises: the same bits however it is cut, few images in memory, clear ends."""

from __future__ import annotations

import traceback

import numpy as np
import pytest
import torch

from tedm.errors import TedmError
from tedm.extract.arithmetic import choose_arithmetic
from tedm.extract.arriving import Arriving
from tedm.extract.backbones import Backbone, random_backbone
from tedm.extract.noise import draw_noise
from tedm.extract.passes import ON_THE_WAY
from tedm.extract.pipeline import MADE_AT_ONCE, compute, images_at_once, noisy_image
from tedm.store import FeatureSettings, FeatureStore, Registration, Storage

BACKBONE = random_backbone()
SETTINGS = FeatureSettings(
    BACKBONE.sha256, BACKBONE.levels, 16, 1, "pad", (-1.0, 1.0), None, "nearest", "per-image", 0, (1, 50, 800), 2
)


def squares(count):
    rng = np.random.default_rng(3)
    for number in range(count):
        yield f"image {number}", rng.uniform(size=(16, 16, 1)).astype(np.float32)


def cells(count=5, **changes):
    arithmetic = choose_arithmetic(**{"device": "cpu", "precision": "float32", "threads": 1, "batch_size": 4, **changes})
    return {
        c.name: b"".join(level.tobytes() for level in c.cells) for c in compute(BACKBONE, SETTINGS, arithmetic, squares(count))
    }


def test_threads_and_batches_change_no_bit_on_a_cpu():
    expected = cells()
    assert list(expected) == [f"image {number}" for number in range(5)]
    for changes in ({"threads": 2}, {"threads": 3, "batch_size": 7}, {"batch_size": 64}):
        assert cells(**changes) == expected


def test_batches_on_their_way_to_the_host_change_no_bit(monkeypatch):
    expected = cells()
    monkeypatch.setitem(ON_THE_WAY, "cpu", 2)  # as on a GPU
    assert cells() == expected


def test_an_image_that_comes_twice_is_computed_twice():
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=1, batch_size=4)
    (_, first), (_, other) = squares(2)
    images = [("a", first), ("a", first), ("b", other), ("a", first)]
    found = list(compute(BACKBONE, SETTINGS, arithmetic, images))
    assert [each.name for each in found] == ["a", "a", "b", "a"]
    bits = [b"".join(level.tobytes() for level in each.cells) for each in found]
    assert bits[0] == bits[1] == bits[3] != bits[2]


def test_timesteps_that_the_settings_do_not_have_are_refused_and_none_too():
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=1, batch_size=4)
    for timesteps, said in (((), "no timestep is asked for"), ((1, 7), "there is no timestep 7; the features have 1, 50, 800")):
        with pytest.raises(TedmError, match=said):
            next(compute(BACKBONE, SETTINGS, arithmetic, squares(1), timesteps))


def test_a_caller_that_stops_early_leaves_no_copy_under_way(monkeypatch):
    """Beside a GPU the memory of cells is others' as soon as it is let go of."""
    waited, wait = [], Arriving.wait
    monkeypatch.setattr(Arriving, "wait", lambda self: (waited.append(self), wait(self))[1])
    monkeypatch.setitem(ON_THE_WAY, "cpu", 1)
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=1, batch_size=6)
    coming = compute(BACKBONE, SETTINGS, arithmetic, squares(4))
    next(coming)
    before = len(waited)
    coming.close()
    assert (before, len(waited)) == (1, 2)


def test_images_that_are_noised_several_at_once_change_no_bit_and_no_order(monkeypatch):
    expected = cells()
    monkeypatch.setitem(MADE_AT_ONCE, "cpu", 3)  # as beside a GPU
    found = cells()
    assert list(found) == list(expected)
    assert found == expected


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_cells_in_float16_are_those_in_float32_rounded(precision):
    arithmetic = choose_arithmetic(device="cpu", precision=precision, threads=1, batch_size=4)
    backbone = random_backbone()
    ways = (compute(backbone, SETTINGS, arithmetic, squares(3), dtype=dtype) for dtype in ("float16", "float32"))
    for half, whole in zip(*ways, strict=True):
        for ours, theirs in zip(half.cells, whole.cells, strict=True):
            assert ours.dtype == np.float16
            assert np.array_equal(ours, theirs.astype(np.float16))


@pytest.mark.parametrize(("value", "said"), [(7e4, r"an activation of 7e\+04 does not fit float16"), (np.inf, "not finite")])
def test_what_does_not_fit_float16_is_named_as_it_was_computed(monkeypatch, value, said):
    """With its timestep among those that are asked for, and only by those who ask for float16."""
    passes = Backbone.activations

    def large(self, x_t, timesteps):
        levels = passes(self, x_t, timesteps)
        levels[1][timesteps == 800, 0, 0, 0] = value
        return levels

    monkeypatch.setattr(Backbone, "activations", large)
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=1, batch_size=4)
    assert len(list(compute(BACKBONE, SETTINGS, arithmetic, squares(2), (1, 800)))) == 2
    assert len(list(compute(BACKBONE, SETTINGS, arithmetic, squares(2), (1, 50), dtype="float16"))) == 2
    with pytest.raises(TedmError, match=f"image image 0, level {BACKBONE.levels[1].name}, timestep 800: .*{said}"):
        list(compute(BACKBONE, SETTINGS, arithmetic, squares(2), (1, 800), dtype="float16"))


@pytest.mark.parametrize("batch_size", [1, 4, 6, 16])
def test_few_images_are_in_memory_whatever_their_number(batch_size):
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=1, batch_size=batch_size)
    read = 0

    def counted():
        nonlocal read
        for item in squares(30):
            read += 1
            yield item

    most = 0
    for done, _ in enumerate(compute(BACKBONE, SETTINGS, arithmetic, counted())):
        most = max(most, read - done)
    assert most <= images_at_once(6, arithmetic) < 10


def test_threads_that_the_cpu_has_no_memory_for_are_named(monkeypatch):
    def full(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setattr(BACKBONE.network, "forward", full)
    with pytest.raises(TedmError, match="--threads 2: the numbers do not depend on it"):
        cells(threads=4)


def test_what_a_failed_pass_held_is_let_go_before_anything_smaller_is_tried(monkeypatch):
    """The frames of an error keep their variables, and with them the memory that there was too little of."""

    def full(x_t, timesteps):
        computed = x_t + 1.0
        raise RuntimeError(f"can't allocate memory: {len(computed)} entries")

    monkeypatch.setattr(BACKBONE.network, "forward", full)
    with pytest.raises(TedmError) as refused:
        cells()
    frames = [frame for frame, _ in traceback.walk_tb(refused.value.__cause__.__traceback__)]
    (of_pass,) = [frame for frame in frames if frame.f_code.co_name == "full"]
    assert "computed" not in of_pass.f_locals


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_activations_are_those_of_the_backbone_in_float32_channels_last(precision):
    backbone = random_backbone()
    arithmetic = choose_arithmetic(device="cpu", precision=precision, threads=1, batch_size=4)
    (found, _) = compute(backbone, SETTINGS, arithmetic, squares(2))
    backbone = backbone.prepare("cpu", precision=precision, channels_last=arithmetic.channels_last)
    (_, square), _ = squares(2)
    for t, timestep in enumerate(SETTINGS.timesteps):
        for draw in range(SETTINGS.draws):
            noise = draw_noise((1, 16, 16), mode="per-image", seed=0, name="image 0", timestep=timestep, draw=draw)
            x_0 = torch.from_numpy(square.transpose(2, 0, 1) * 2 - 1)
            steps = torch.tensor([timestep])
            x_t = backbone.schedule.x_t(x_0[None], torch.from_numpy(noise)[None], steps)
            for ours, theirs in zip(found.cells, backbone.activations(x_t, steps), strict=True):
                assert ours.dtype == np.float32
                assert ours[t, draw].tobytes() == theirs[0].permute(1, 2, 0).float().numpy().tobytes()


def test_torch_has_its_threads_again_afterwards():
    before = torch.get_num_threads()
    cells(threads=3)
    assert torch.get_num_threads() == before


def test_a_noisy_image_is_what_the_backbone_saw(tmp_path):
    """The activations of the picture, in the backbone's range, are those in the store."""
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=1, batch_size=1)
    store = FeatureStore.create(tmp_path / "store", SETTINGS, arithmetic, Storage("native", "float32"), {})
    store.register([Registration("image 0", "", "", "", (16, 16), None)], ())
    (computed,) = compute(BACKBONE, SETTINGS, arithmetic, squares(1))
    store.write(computed.name, computed.image, computed.cells)
    for at, timestep in enumerate(SETTINGS.timesteps):
        for draw in (0, 1):
            noisy = noisy_image(BACKBONE, store, "image 0", timestep, draw=draw)
            x_t = torch.from_numpy(2 * noisy.transpose(2, 0, 1) - 1)[None]
            for level, seen in zip(computed.cells, BACKBONE.activations(x_t, torch.tensor([timestep])), strict=True):
                np.testing.assert_allclose(level[at, draw], seen[0].permute(1, 2, 0).numpy(), atol=2e-5)
    with pytest.raises(TedmError, match="5000"):
        noisy_image(BACKBONE, store, "image 0", 5000)
