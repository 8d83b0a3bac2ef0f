"""Small volumes in which a wrong order shows, and random damage to their files."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.volumes.read import read_header, read_labels, read_voxels


@pytest.fixture
def voxels() -> np.ndarray:
    """Numbers of shape (4, 5, 3), int16; none is there twice."""
    return np.random.default_rng(3).permutation(60).reshape(4, 5, 3).astype(np.int16) * 7 - 100


@pytest.fixture(scope="session")
def damaged() -> Callable[[Path, int], int]:
    """Change random bytes of a file, again and again: each is read, or refused in one line; how many are refused."""

    def damage(path: Path, times: int) -> int:
        rng, whole, refusals = np.random.default_rng(11), path.read_bytes(), []
        tracemalloc.start()
        for _ in range(times):
            content = bytearray(whole)
            head = min(len(content), 400) if rng.random() < 0.7 else len(content)  # what is in headers matters most
            for at in rng.integers(0, head, int(rng.integers(1, 4))):
                content[at] = rng.integers(0, 256)
            if rng.random() < 0.1:
                content = content[: rng.integers(0, len(content))]
            path.write_bytes(content)
            try:
                header = read_header(path, channels=bool(rng.random() < 0.5))
                assert read_voxels(path, header).shape == (*header.shape, header.channels)
                assert read_labels(path, header).shape == header.shape
            except TedmError as error:
                refusals.append(str(error))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        path.write_bytes(whole)
        assert peak < 1e8
        assert [text for text in refusals if "\n" in text or not text.startswith(str(path.parent))] == []
        return len(refusals)

    return damage
