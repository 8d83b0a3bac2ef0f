"""A small store of real activations, and the shortcuts that tests of heads share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tedm.store import IGNORE, Arithmetic, Block, FeatureSettings, FeatureStore, Level, Registration, Storage

SIZE = 8
LEVELS = (Level("level0", 3, 4), Level("level1", 2, 1))
NAMES = ("one", "two", "three", "four")


def _settings(timesteps: tuple[int, ...], draws: int, upsampling: str) -> FeatureSettings:
    return FeatureSettings(
        checkpoint_sha256="ab" * 32,
        levels=LEVELS,
        image_size=SIZE,
        image_channels=1,
        geometry="pad",
        input_range=(-1.0, 1.0),
        intensity_range=None,
        upsampling=upsampling,  # type: ignore[arg-type]
        noise="per-image",
        noise_seed=0,
        timesteps=timesteps,
        draws=draws,
    )


def _mask(number: int, classes: int, rng: np.random.Generator) -> Any:
    """Classes in uneven parts, some pixels without a label."""
    mask = rng.choice(classes, p=np.arange(1, classes + 1) / sum(range(1, classes + 1)), size=(SIZE, SIZE)).astype(np.uint8)
    mask[number % SIZE, : number + 2] = IGNORE
    return mask


def _make(
    path: Path,
    *,
    layout: str = "native",
    upsampling: str = "nearest",
    dtype: str = "float32",
    timesteps: tuple[int, ...] = (1, 50, 400),
    draws: int = 1,
    names: tuple[str, ...] = NAMES,
    values: tuple[int, ...] = (0, 255),
    shown: tuple[int, ...] | None = None,
    first: int = 0,
) -> FeatureStore:
    """A store whose activations carry some of the mask, the more the smaller the timestep; `shown`: class indices in masks.

    The pictures are those of the numbers from `first` on, whatever they are called.
    """
    settings = _settings(timesteps, draws, upsampling)
    store = FeatureStore.create(path, settings, Arithmetic("cpu", "float32", False, 4, 1, "2", "p"), Storage(layout, dtype), {})  # type: ignore[arg-type]
    shown = tuple(range(len(values))) if shown is None else shown
    registrations, of_image = [], {}
    for number, name in enumerate(names, first):
        rng = np.random.default_rng(number)
        mask = _mask(number, len(shown), rng)
        mask[mask != IGNORE] = np.array(shown, np.uint8)[mask[mask != IGNORE]]
        signal = np.where(mask == IGNORE, 0, mask).astype(np.float32)
        cells = []
        for level in LEVELS:
            side, stride = SIZE // level.stride, level.stride
            noise = rng.normal(size=(len(timesteps), draws, side, side, level.channels))
            seen = signal.reshape(side, stride, side, stride).mean(axis=(1, 3))[None, None, :, :, None]
            strength = np.linspace(1.5, 0.3, len(timesteps)).reshape(-1, 1, 1, 1, 1)
            cells.append((noise + strength * seen * np.arange(1, level.channels + 1) + 0.5).astype(np.float32))
        registrations.append(Registration(name, "train", name, "here", (10, 12), mask))
        of_image[name] = (rng.random((SIZE, SIZE, 1), dtype=np.float32), cells)
    store.register(registrations, values)
    for name, (image, cells) in of_image.items():
        store.write(name, image, cells)
    return store


@pytest.fixture(scope="session")
def _stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, FeatureStore]]:
    return tmp_path_factory.mktemp("stores"), {}


@pytest.fixture
def make_store(_stores: tuple[Path, dict[str, FeatureStore]], tmp_path: Path) -> Callable[..., FeatureStore]:
    """A store of two levels, 8 x 8 pixels, four images; the same one for the same settings, unless a test will write to it."""
    folder, made = _stores

    def make(*, own: bool = False, **changes: Any) -> FeatureStore:
        if own:
            return _make(tmp_path / "own", **changes)
        key = repr(sorted(changes.items()))
        if key not in made:
            made[key] = _make(folder / str(len(made)), **changes)
        return made[key]

    return make


@pytest.fixture
def make_split_store(make_store: Callable[..., FeatureStore]) -> Callable[..., FeatureStore]:
    """A store of seven images: three to learn from, two to validate on and two to test on, these of two domains."""

    def make(**changes: Any) -> FeatureStore:
        store = make_store(names=tuple("abcdefg"), **changes)
        if "val" in store.labels.splits:
            return store
        splits = dict(zip("defg", ("val", "val", "test", "test"), strict=True))
        moved = [Registration(name, split, "", "", (10, 12), None) for name, split in splits.items()]
        moved.append(Registration("g", "test", "", "there", (10, 12), None))
        store.relabel(moved, store.labels.classes)
        return store

    return make


@pytest.fixture
def voters(make_split_store: Callable[..., FeatureStore]) -> Any:
    """That store with two draws, and two MLPs that share it at three timesteps; fitted once."""
    from tedm.heads import fit, method_named

    store = make_split_store(draws=2)
    if store not in _HEADS:
        method = method_named("tedm", timesteps=(1, 50, 400), members=2)
        _HEADS[store] = fit(store, method, iterations=30)
    return store, _HEADS[store]


_HEADS: dict[FeatureStore, Any] = {}


@pytest.fixture(scope="session")
def write_store() -> Callable[..., FeatureStore]:
    """Writes such a store to a path, for fixtures that outlive a test."""
    return _make


def _by_hand(block: Block, rows: str) -> Any:
    """The rows pixel by pixel, in loops and float64, from the definition of the layouts alone."""
    matrix = np.zeros((block.size, block.size))

    def at(level: Any, t: int, d: int, y: int, x: int) -> Any:
        side = level.shape[2]
        if block.upsampling == "nearest":
            return level[t, d, y * side // block.size, x * side // block.size]

        def corners(position: int) -> list[tuple[int, float]]:
            centre = min(max((position + 0.5) * side / block.size - 0.5, 0), side - 1)
            low = int(np.floor(centre))
            return [(low, 1 - (centre - low)), (min(low + 1, side - 1), centre - low)]

        return sum(wy * wx * level[t, d, cy, cx] for cy, wy in corners(y) for cx, wx in corners(x))

    cells = [level.astype(np.float64) for level in block.cells]
    times, draws, pixels = range(len(block.timesteps)), range(block.draws), range(len(matrix))
    if rows == "share":
        return np.array(
            [np.concatenate([at(c, t, d, y, x) for c in cells]) for t in times for d in draws for y in pixels for x in pixels]
        )
    return np.array(
        [np.concatenate([at(c, t, d, y, x) for t in times for c in cells]) for d in draws for y in pixels for x in pixels]
    )


@pytest.fixture
def by_hand() -> Callable[[Block, str], Any]:
    """Rows of a block, from the definition."""
    return _by_hand


def _random_block(timesteps: int, draws: int, levels: list[tuple[int, int]], size: int, upsampling: str, seed: int) -> Block:
    rng = np.random.default_rng(seed)
    cells = tuple(rng.normal(1, 2, size=(timesteps, draws, side, side, channels)) for side, channels in levels)
    return Block("random", tuple(range(timesteps)), cells, size, upsampling)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def random_block() -> Callable[..., Block]:
    """A float64 block of any shape."""
    return _random_block
