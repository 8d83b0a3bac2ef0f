"""What a segmentation says of itself: in words, as a table and as a figure."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract import pictures_of
from tedm.heads import Prediction
from tedm.study import Segmentation


def made(
    shape: tuple[int, ...] = (4, 6), axis: int | None = None, names: tuple[str, ...] = ("background", "lung")
) -> Segmentation:
    rng = np.random.default_rng(2)
    mask = np.zeros(shape, np.uint8)
    mask[..., -2:] = 255
    pictures = pictures_of(rng.random(shape), "scan", axis=axis)
    predictions = []
    for picture in pictures:
        probabilities = rng.dirichlet([1, 2], (8, 8))
        predictions.append(Prediction(picture.name, "tedm", probabilities, rng.random((8, 8)), rng.random((8, 8))))
    return Segmentation("scan", mask, (0, 255), ("background", "lung"), "tedm", axis, pictures, predictions, "pad")


def test_it_says_its_classes_and_their_shares() -> None:
    lines = repr(made()).splitlines()
    assert lines[:3] == [
        "Segmentation of scan: 4 x 6 pixels, head tedm",
        "  background  16  pixels  66.7 %",
        "  lung         8  pixels  33.3 %",
    ]
    assert lines[3].startswith("  mean uncertainty 0.")
    assert "voxels" in repr(made((3, 4, 6), axis=0))


def test_probabilities_and_maps_have_the_size_of_the_image() -> None:
    one, volume = made(), made((3, 4, 6), axis=0)
    assert one.probabilities.shape == (4, 6, 2)
    np.testing.assert_allclose(one.probabilities.sum(axis=-1), 1, rtol=1e-6)
    assert one.uncertainty.shape == one.disagreement.shape == (4, 6)
    assert volume.probabilities.shape == (3, 4, 6, 2)
    assert not np.array_equal(volume.uncertainty[0], volume.uncertainty[1])


def test_a_table_has_pixels_and_areas() -> None:
    pytest.importorskip("pandas")
    table = made().frame(spacing=(0.5, 2.0))
    assert table.to_dict("list") == {
        "class": [0, 255],
        "name": ["background", "lung"],
        "pixels": [16, 8],
        "fraction": [16 / 24, 8 / 24],
        "area_mm2": [16.0, 8.0],
    }
    assert list(made().frame().columns) == ["class", "name", "pixels", "fraction"]
    volume = made((3, 4, 6), axis=0).frame(spacing=2)
    assert list(volume.columns) == ["class", "name", "voxels", "fraction", "volume_mm3"]
    assert list(volume["volume_mm3"]) == [48 * 8.0, 24 * 8.0]


@pytest.mark.parametrize("spacing", [0, -1.0, (1, 2, 3), (1, float("nan")), float("inf")])
def test_a_spacing_that_is_none_is_refused(spacing: Any) -> None:
    pytest.importorskip("pandas")
    with pytest.raises(TedmError, match=r"spacing=.* is not a number of millimetres above 0, nor one for each of the 2 axes"):
        made().frame(spacing=spacing)


def test_without_pandas_a_table_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(TedmError, match=r"a table needs a package .* \(pandas\): pip install 'tedm\[notebooks\]'"):
        made().frame()


def test_a_figure_shows_mask_and_legend_at_the_size_of_the_image() -> None:
    figure = made().figure()
    (axes,) = figure.axes
    image, fill = (each.get_array() for each in axes.images)
    assert image.shape == (4, 6)
    np.testing.assert_array_equal(fill[..., 3] > 0, made().mask > 0)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["lung"]


def test_a_figure_of_a_volume_shows_the_slice_that_shows_most() -> None:
    volume = made((3, 4, 6), axis=0)
    volume.mask[1, 0] = 255
    assert volume.figure().axes[0].get_title() == "scan_001"
    assert volume.figure(at=2).axes[0].get_title() == "scan_002"
    with pytest.raises(TedmError, match="there is no slice 3; scan has 3, from 0 on"):
        volume.figure(at=3)
