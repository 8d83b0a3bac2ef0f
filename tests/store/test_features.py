"""Blocks, and features with some of their levels."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.store import Block, FeatureStore, OnLevels, Storage
from tedm.store.layout import stored

SMALL = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))
SETTINGS, NAMES = SMALL["SETTINGS"], SMALL["NAMES"]


@pytest.mark.parametrize("layout", ["native", "upsampled"])
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_a_block_without_the_disk_is_the_one_that_the_disk_gives(tmp_path, layout, upsampling):
    store = SMALL["filled"](tmp_path / "s", layout, upsampling)
    for name in NAMES:
        fresh = store.storage.block(name, store.settings.timesteps, SMALL["cells_of"](name), store.settings)
        kept = store.block(name)
        assert (fresh.name, fresh.timesteps, fresh.upsampling) == (kept.name, kept.timesteps, kept.upsampling)
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(fresh.cells, kept.cells, strict=True))


def test_a_block_at_some_timesteps_has_these_in_the_order_asked_for():
    cells = stored(np.random.default_rng(2).normal(size=(3, 2, 4, 4, 5)), "float32")
    block = Block("a", (1, 50, 800), (cells,), 8, "nearest")
    some = block.at((800, 1))
    assert some.timesteps == (800, 1)
    assert np.array_equal(some.cells[0], cells[[2, 0]])
    assert block.at((1, 50, 800)) is block
    assert (block.draws, block.channels, block.nbytes) == (2, 5, cells.nbytes)


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_features_on_some_levels_are_the_others_left_out(tmp_path, layout):
    store = SMALL["filled"](tmp_path / "s", layout)
    some = OnLevels(store, ["level1"])
    (block,), whole = some.blocks(NAMES[:1]), store.block(NAMES[0])
    assert len(block.cells) == 1
    assert np.array_equal(block.cells[0], whole.cells[1])
    assert some.settings.levels == store.settings.levels[1:]
    assert np.array_equal(some.mask(NAMES[0]), store.mask(NAMES[0]))
    assert np.array_equal(some.image(NAMES[0]), store.image(NAMES[0]))
    with pytest.raises(TedmError, match="there is no level level0"):
        next(some.blocks(NAMES[:1], levels=["level0"]))


def test_features_on_some_levels_are_read_as_all_levels_are(tmp_path):
    """A chunk of pixels has the channels of all levels, so that a budget must count these; reading ahead pays alike."""
    store = SMALL["filled"](tmp_path / "s", "upsampled")
    some = OnLevels(OnLevels(store, ["level0", "level1"]), ["level1"])
    assert (some.settings.channels, some.chunk_channels, store.chunk_channels) == (2, 5, 5)
    assert some.reads_ahead is store.reads_ahead is True


def test_storage_says_which_arrays_it_keeps():
    cells = SMALL["cells_of"]("one")
    assert [array.shape for array in Storage("native", "float16").arrays(cells, SETTINGS)] == [level.shape for level in cells]
    (pixels,) = Storage("upsampled", "float32").arrays(cells, SETTINGS)
    assert (pixels.shape, pixels.dtype) == ((2, 1, 8, 8, 5), np.float32)


def test_a_store_says_what_is_in_it(extracted: Path, tmp_path: Path) -> None:
    shutil.copytree(extracted, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    store.name_classes(["background", "lung"])
    lines = repr(store).splitlines()
    size = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert lines == [
        f"FeatureStore('{tmp_path / 'store'}')",
        f"  {store.labels.summary()}",
        "  classes 0 background, 255 lung",
        "  16 x 16 pixels, 1 channel",
        "  timesteps 1, 50, 1 draw",
        "  levels level0 (16 x 1/2), level1 (8 x 1/1), nearest; native, float16",
        f"  {size / 1e6:.3g} MB",
    ]
    store.discard(["scan 1"])
    assert repr(store).endswith(", 1 of 7 images still missing")


def test_a_store_that_is_gone_still_has_words(extracted: Path, tmp_path: Path, monkeypatch: Any) -> None:
    shutil.copytree(extracted, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    assert "still missing" in repr(store)
