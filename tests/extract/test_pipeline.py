"""The pipeline's promises: the same bits however it is cut, few images in memory, clear ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tedm.errors import TedmError
from tedm.extract.arithmetic import choose_arithmetic
from tedm.extract.backbones import random_backbone
from tedm.extract.pipeline import ON_THE_WAY, compute, images_at_once, noisy_image
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
