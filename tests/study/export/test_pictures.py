"""Pictures for other software: intensities of 16 bits, labels of 8."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tedm.study.export.pictures import write_intensities, write_labels


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_levels_come_through_as_they_are(tmp_path, rng, bits):
    white = 2**bits - 1
    levels = rng.integers(0, white + 1, (9, 7))
    levels[0, :2] = 0, white
    write_intensities(tmp_path / "a.png", (levels / white).astype(np.float32), remedy="make room")
    with Image.open(tmp_path / "a.png") as picture:
        again = np.asarray(picture)
    assert again.dtype == np.uint16
    assert np.array_equal(again, levels * (65535 // white))


def test_labels_are_written_as_they_are(tmp_path, rng):
    labels = rng.integers(0, 256, (9, 7)).astype(np.uint8)
    write_labels(tmp_path / "a.png", labels, remedy="make room")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), labels)
