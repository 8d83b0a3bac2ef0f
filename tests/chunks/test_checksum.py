"""The checksum that leaves Python to others is the one that Zarr reads."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.chunks import checksum


@pytest.mark.parametrize("length", [0, 1, 9, checksum.SHORT - 1, checksum.SHORT, 1_000_003])
def test_it_is_what_zarrs_package_says(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    content = np.random.default_rng(length).integers(0, 256, length, np.uint8)
    expected = int(checksum.locked(content))
    assert checksum.crc32c(content) == expected
    monkeypatch.setattr(checksum, "_unlocked", None)
    assert checksum.crc32c(content) == expected


def test_it_is_castagnolis() -> None:
    assert checksum.crc32c(np.frombuffer(checksum.CHECKED, np.uint8)) == checksum.CHECK


def test_a_part_of_an_array_is_read_where_it_lies() -> None:
    content = np.arange(3 * checksum.SHORT, dtype=np.uint32).view(np.uint8)
    part = content[5:-3]
    assert checksum.crc32c(part) == int(checksum.locked(part.copy()))


def test_a_library_that_says_something_else_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "CHECK", 1)
    assert checksum._library() is None
