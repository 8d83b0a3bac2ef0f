"""xarray's engine for stores: found by xarray itself, in a data set that reads when values are asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tedm.errors import TedmError
from tedm.store import FeatureStore
from tedm.study import dataset


@pytest.mark.parametrize("layout", ["upsampled", "native"])
def test_xarray_opens_a_store_by_itself_and_labelled(make_store: Callable[..., FeatureStore], layout: str) -> None:
    store = make_store(layout=layout, dtype="float16")
    with xr.open_dataset(store.path) as data:
        assert data.equals(dataset(store))
        at = data.sel(image="two", timestep=50)
        np.testing.assert_array_equal(at["picture"], store.image("two"))
        features = at["features" if layout == "upsampled" else "level1"]
        assert features.dtype == np.float32
        (block,) = store.blocks(["two"], [50])
        expected = block.at_image_resolution()[0] if layout == "upsampled" else block.cells[1][0]
        np.testing.assert_array_equal(features, expected)


def test_neither_options_nor_warnings_are_needed_in_a_process_of_its_own(make_store: Callable[..., FeatureStore]) -> None:
    script = (
        "import sys, warnings; warnings.simplefilter('error'); import xarray; data = xarray.open_dataset(sys.argv[1]); "
        "print(data.sel(image='two', timestep=50)['picture'].shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, make_store().path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(8, 8, 1) False\n"), done.stderr


def test_it_comes_in_chunks_of_images_where_chunks_are_asked_for(make_store: Callable[..., FeatureStore]) -> None:
    store = make_store(layout="upsampled")
    assert xr.open_dataset(store.path)["features"].chunks is None
    data = xr.open_dataset(store.path, chunks={})
    assert data["features"].chunks == dataset(store)["features"].chunks
    assert data["features"].chunks[0] == (1, 1, 1, 1)
    several = data.isel(image=[3, 1])["features"].mean(["y", "x"]).compute()
    for name in ("four", "two"):
        (block,) = store.blocks([name])
        np.testing.assert_allclose(several.sel(image=name), block.at_image_resolution().mean((2, 3)), rtol=1e-5)


def test_variables_can_be_left_out_and_images_chosen(make_store: Callable[..., FeatureStore]) -> None:
    data = xr.open_dataset(make_store(layout="upsampled").path, names=["three"], drop_variables=["features", "nothing"])
    assert list(data["image"].values) == ["three"]
    assert set(data.data_vars) == {"picture", "mask"}


def test_what_is_no_store_is_left_to_others(make_store: Callable[..., FeatureStore], tmp_path: Path) -> None:
    other = xr.Dataset({"a": ("x", [1.0, 2.0])})
    other.to_netcdf(tmp_path / "other.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "other.nc") as read:
        assert read.equals(other)
    for nothing in (tmp_path, "https://example.org/data.nc"):
        with pytest.raises(ValueError, match="xarray"):
            xr.open_dataset(nothing)
    with pytest.raises(TedmError, match="is no feature store"):
        xr.open_dataset(tmp_path, engine="tedm")


def test_a_store_that_is_not_whole_is_refused_by_name(make_store: Callable[..., FeatureStore]) -> None:
    store = make_store(own=True)
    store.discard(["two"])
    with pytest.raises(TedmError, match=r"1 of 4 images of .* not whole yet \(two\)"):
        xr.open_dataset(store.path)
