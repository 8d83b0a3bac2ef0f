"""A store as a labelled data set of xarray."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tedm.errors import TedmError
from tedm.store import FeatureStore
from tedm.study import dataset

BEFORE = Path(__file__).parents[2] / "data" / "before"


@pytest.mark.parametrize("layout", ["upsampled", "native"])
def test_images_and_timesteps_are_found_by_their_names(make_store: Callable[..., FeatureStore], layout: str) -> None:
    store = make_store(layout=layout, dtype="float16")
    data = dataset(store)
    assert dataset(str(store.path)).equals(data)
    at = data.sel(image="two", timestep=50)
    (block,) = store.blocks(["two"], [50])
    if layout == "upsampled":
        np.testing.assert_array_equal(at["features"], block.at_image_resolution()[0])
        assert at["features"].dims == ("draw", "y", "x", "channel")
        assert list(data["level"].values) == ["level0"] * 3 + ["level1"] * 2
        np.testing.assert_array_equal(at["features"][..., (at["level"] == "level1").values], block.cells[1][0])
    else:
        for level, cells in zip(("level0", "level1"), block.cells, strict=True):
            np.testing.assert_array_equal(at[level], cells[0])
        assert [list(data[f"channel_{level}"].values) for level in ("level0", "level1")] == [[0, 1, 2], [3, 4]]
    np.testing.assert_array_equal(at["picture"], store.image("two"))
    np.testing.assert_array_equal(at["mask"], store.mask("two"))
    assert list(data["image"].values) == list(store.labels.names)
    assert str(at["split"].values) == "train"


def test_means_of_half_precision_do_not_overflow(make_store: Callable[..., FeatureStore]) -> None:
    store = make_store(own=True, layout="native", dtype="float16")
    large = [np.full((3, 1, side, side, channels), 60000, np.float32) for side, channels in ((2, 3), (8, 2))]
    store.write("one", store.image("one"), large)
    data = dataset(store)
    assert data["level1"].dtype == np.float32
    assert float(data["level1"].sel(image="one").mean()) == 60000


@pytest.mark.parametrize("layout", ["upsampled", "native"])
def test_it_can_be_written_to_netcdf(make_store: Callable[..., FeatureStore], tmp_path: Path, layout: str) -> None:
    data = dataset(make_store(layout=layout), ["three", "one"])
    data.to_netcdf(tmp_path / "features.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "features.nc", engine="scipy") as read:
        assert [name if isinstance(name, str) else name.decode() for name in read["image"].values] == ["three", "one"]
        np.testing.assert_array_equal(read["picture"], data["picture"])


@pytest.mark.parametrize("version", ["0.1.0", "unreleased"])
def test_stores_of_before_are_labelled_too(tmp_path: Path, version: str) -> None:
    with zipfile.ZipFile(BEFORE / f"{version}.zip") as archive:
        archive.extractall(tmp_path)
    store = FeatureStore.open(tmp_path / "native")
    data = dataset(store).sel(image="b", timestep=50)
    (block,) = store.blocks(["b"], [50])
    np.testing.assert_array_equal(data["level1"], block.cells[1][0])


def test_images_that_are_not_whole_are_refused(make_store: Callable[..., FeatureStore]) -> None:
    store = make_store(own=True)
    store.discard(["two"])
    with pytest.raises(TedmError, match=r"1 of 4 images of .* are not whole yet \(two\)"):
        dataset(store)
    with pytest.raises(TedmError, match="nobody"):
        dataset(store, ["nobody"])
    assert list(dataset(store, ["four", "one"])["image"].values) == ["four", "one"]


def test_a_misspelt_word_is_told_which_was_meant(make_store: Any) -> None:
    with pytest.raises(TedmError, match=r"dataset\(\) knows no 'nmes' \(did you mean names\?\)"):
        dataset(make_store(), nmes=["a"])  # type: ignore[call-arg]


def test_without_xarray_it_is_said_what_to_install(make_store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(TedmError, match=r"a labelled data set needs a package .* \(xarray\): pip install 'tedm\[notebooks\]'"):
        dataset(make_store())
