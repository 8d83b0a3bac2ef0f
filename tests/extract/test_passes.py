"""Both ways through a backbone: entries in their order, and nothing left under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from tedm.extract.arithmetic import choose_arithmetic
from tedm.extract.arriving import Opened
from tedm.extract.backbones import Backbone, random_backbone
from tedm.extract.passes import Batches, OneByOne, Work
from tedm.extract.pipeline import compute
from tedm.store import FeatureSettings

BACKBONE = random_backbone()
TIMESTEPS = (1, 50, 800)
SETTINGS = FeatureSettings(
    BACKBONE.sha256, BACKBONE.levels, 16, 1, "pad", (-1.0, 1.0), None, "nearest", "per-image", 0, TIMESTEPS, 1
)


def opened(count: int) -> dict[int, Opened]:
    image = np.zeros((16, 16, 1), np.float32)
    return {number: Opened.of(str(number), image, SETTINGS, 3, "float16", "cpu") for number in range(count)}


def inputs(count: int) -> Iterator[tuple[int, int, Tensor]]:
    random = torch.Generator().manual_seed(0)
    for number in range(count):
        for entry in range(3):
            yield number, entry, torch.randn(1, 16, 16, generator=random)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
@pytest.mark.parametrize("alone", [True, False])
def test_both_ways_fill_the_same_cells_in_the_same_order(batch_size: int, alone: bool) -> None:
    arithmetic = choose_arithmetic(device="cpu", precision="bfloat16", threads=2, batch_size=batch_size)
    backbone = random_backbone().prepare("cpu", precision="bfloat16", channels_last=True)
    found = []
    for one_by_one in (True, False):
        images = opened(3)
        passes = (
            OneByOne(Work(backbone, arithmetic, TIMESTEPS, images, "float16"), alone=alone)
            if one_by_one
            else Batches(Work(backbone, arithmetic, TIMESTEPS, images, "float16"))
        )
        done = [each for its in inputs(3) for each in passes.put(*its)]
        assert len(done) >= 9 - batch_size
        done += passes.rest()
        passes.close()
        assert [(each.number, each.entry, each.misfits) for each in done] == [(n, e, []) for n in range(3) for e in range(3)]
        found.append([level.tobytes() for image in images.values() for level in image.computed.cells])
    assert found[0] == found[1]


def test_not_alone_nothing_is_computed_while_the_caller_has_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, most_meanwhile = set[int](), []
    passes = Backbone.activations

    def counted(self: Backbone, x_t: Tensor, timesteps: Tensor) -> list[Tensor]:
        under_way.add(threading.get_ident())
        try:
            return passes(self, x_t, timesteps)
        finally:
            under_way.discard(threading.get_ident())

    monkeypatch.setattr(Backbone, "activations", counted)
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=2, batch_size=2)
    images = ((str(number), np.zeros((16, 16, 1), np.float32)) for number in range(6))
    before = torch.get_num_threads()
    for _ in compute(BACKBONE, SETTINGS, arithmetic, images):
        most_meanwhile.append(len(under_way))
        assert torch.get_num_threads() == before
    assert most_meanwhile == [0] * 6


def test_a_caller_in_inference_mode_gets_the_same_cells() -> None:
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=2)
    images = [("a", np.full((16, 16, 1), 0.3, np.float32))]
    (expected,) = compute(BACKBONE, SETTINGS, arithmetic, images, dtype="float16")
    with torch.inference_mode():
        (found,) = compute(BACKBONE, SETTINGS, arithmetic, images, dtype="float16")
    assert [level.tobytes() for level in found.cells] == [level.tobytes() for level in expected.cells]


def test_a_caller_that_stops_early_waits_for_what_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    finished, begun = [], threading.Event()
    passes = Backbone.activations

    def slow(self: Backbone, x_t: Tensor, timesteps: Tensor) -> list[Tensor]:
        begun.set()
        levels = passes(self, x_t, timesteps)
        finished.append(int(timesteps))
        return levels

    monkeypatch.setattr(Backbone, "activations", slow)
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=2, batch_size=8)
    way = OneByOne(Work(BACKBONE, arithmetic, TIMESTEPS, opened(2), "float16"), alone=True)
    for its in inputs(2):
        way.put(*its)
    begun.wait(10)
    way.close()
    done = len(finished)
    assert 1 <= done <= 6
    threading.Event().wait(0.05)
    assert len(finished) == done
    assert list(way.rest()) == []


def test_several_callers_may_use_a_backbone_in_turns_and_at_once() -> None:
    """A head's features are computed in one thread while somebody looks at another image's."""
    arithmetic = choose_arithmetic(device="cpu", precision="float32", threads=2, batch_size=2)
    images = [(str(number), np.full((16, 16, 1), number / 8, np.float32)) for number in range(8)]

    def cells(some: list[tuple[str, np.ndarray]], levels: list[str]) -> Iterator[bytes]:  # type: ignore[type-arg]
        backbone = BACKBONE.with_levels(levels)
        of = FeatureSettings(
            backbone.sha256, backbone.levels, 16, 1, "pad", (-1.0, 1.0), None, "nearest", "per-image", 0, TIMESTEPS, 1
        )
        for computed in compute(backbone, of, arithmetic, some, alone=True):
            yield b"".join(level.tobytes() for level in computed.cells)

    names = [level.name for level in BACKBONE.levels]
    first, last = list(cells(images, names[:1])), list(cells(images, names))
    assert list(zip(cells(images, names[:1]), cells(images, names), strict=True)) == list(zip(first, last, strict=True))
    found: dict[int, list[bytes]] = {}
    threads = [threading.Thread(target=lambda at=at: found.update({at: list(cells(images, names[: at + 1]))})) for at in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == first
    assert found[1] == list(cells(images, names[:2]))
