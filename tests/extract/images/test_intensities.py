"""Intensities are the same whatever rows are asked for."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.images import intensities as module
from tedm.extract.images.intensities import Intensities


@pytest.mark.parametrize(("colours", "channels"), [(1, 1), (1, 3), (3, 1), (3, 3)])
def test_bands_equal_the_whole(rng, colours, channels, monkeypatch):
    grey = rng.integers(0, 4096, (23, 17, 1)).astype(np.uint16)
    values = np.clip(grey + rng.integers(0, 90, (23, 17, colours)), 0, 4095).astype(np.uint16)
    image = Intensities(values, black=100, white=3000, channels=channels, what="a.png")
    whole = ((values.astype(np.float64) - 100) / 2900).clip(0, 1).astype(np.float32)
    if (colours, channels) == (3, 1):
        red, green, blue = (whole[..., at].astype(np.float64) for at in range(3))
        whole = ((red * 19595 + green * 38470 + blue * 7471) / 65536).astype(np.float32)[..., None]
    whole = np.broadcast_to(whole, (23, 17, channels))
    for at_once in (1, 100, 10**6):
        monkeypatch.setattr(module, "AT_ONCE", at_once)
        assert image.shape == whole.shape
        np.testing.assert_array_equal(image[:], whole)
        np.testing.assert_array_equal(image[5:9], whole[5:9])


def test_what_is_far_above_white_is_white():
    values = np.array([[[0.0], [5e-321], [1.0], [1e300]]])
    assert Intensities(values, black=0, white=1e-320, channels=1, what="a.tif")[:].ravel().tolist() == [0.0, 0.5, 1.0, 1.0]


def test_a_fault_in_any_row_is_refused(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 8)
    values = np.zeros((9, 4, 1))
    values[8, 3] = np.inf
    with pytest.raises(TedmError, match="a.tif: holds NaN or infinite values"):
        Intensities(values, black=0, white=1, channels=1, what="a.tif")[:]
    colours = np.zeros((9, 4, 3), np.uint8)
    colours[7, 0] = 250, 0, 0
    with pytest.raises(TedmError, match="a.png: is in colour"):
        Intensities(colours, black=0, white=255, channels=1, what="a.png")[:]


def test_a_large_image_takes_little_more_than_its_intensities():
    values = np.full((2000, 2000, 1), 7, np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", 2**14)
        tracemalloc.start()
        Intensities(values, black=0, white=255, channels=1, what="a.png")[:]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 17e6  # of which 16 MB are the result; in float64 they would be 64 MB and more
