"""Labels of dimensions, for other readers of Zarr."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from tedm.errors import TedmError
from tedm.store import Damage, FeatureStore, Storage, verify
from tedm.store.formats.coordinates import coordinates, is_of_coordinate, named_by
from tedm.store.formats.naming import FIRST, NEWEST

SMALL = runpy.run_path(str(Path(__file__).parents[1] / "test_disk.py"))


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_channels_have_the_numbers_of_a_pixels_vector_in_either_layout(layout: str) -> None:
    settings = SMALL["settings"](draws=2, channel_names=("t1",))
    found = coordinates(settings, Storage(layout, "float16"), NEWEST)  # type: ignore[arg-type]
    of_channels = {
        "native": {"channel_level0": ("channel_level0", (0, 1, 2)), "channel_level1": ("channel_level1", (3, 4))},
        "upsampled": {"channel": ("channel", (0, 1, 2, 3, 4)), "level": ("channel", ("level0",) * 3 + ("level1",) * 2)},
    }
    assert found == {
        "timestep": ("timestep", (1, 50)),
        "draw": ("draw", (0, 1)),
        "image_channel": ("image_channel", ("t1",)),
        **of_channels[layout],
    }
    assert list(coordinates(settings, Storage("native", "float16"), FIRST)) == ["timestep"]


def test_activations_name_the_labels_of_their_images_in_the_newest_format_only() -> None:
    assert named_by(NEWEST, "level") == {"coordinates": "split group domain level"}
    assert named_by(FIRST, "level") == {}


def test_files_of_labels_are_told_from_those_of_images() -> None:
    assert all(map(is_of_coordinate, ["timestep/c.0", "draw/c.0", "level/c.0", "channel_level0/c.0", "image_channel/c.0"]))
    assert not any(map(is_of_coordinate, ["image/c.0", "name/c.0", "draw/c.1", "channel_x/c.0.0", "a/draw/c.0", "thesis.tex"]))


@pytest.mark.parametrize("array", ["draw", "channel_level1", "timestep"])
def test_labels_that_are_damaged_are_named_and_harm_no_reader_of_ours(tmp_path: Path, array: str) -> None:
    store = SMALL["filled"](tmp_path / "s")
    stored = zarr.open_group(tmp_path / "s", mode="r+")[array]
    stored[:] = np.asarray(stored[:]) + 7  # type: ignore[index]
    (found,) = verify(FeatureStore.open(tmp_path / "s"))
    wanted = ", ".join(map(str, coordinates(store.settings, store.storage, NEWEST)[array].values))
    assert (found.image, found.array) == ("", f"{array}/c.0")
    assert found.cause.endswith(f", and the settings {wanted}")
    shutil.rmtree(tmp_path / "s" / array)
    assert verify(store)[0] == Damage("", f"{array}/c.0", f"it cannot be read, and the settings {wanted}")
    store.register(SMALL["registrations"]([*SMALL["NAMES"], "four"]), (0, 255))
    assert store.labels.names[-1] == "four"


@pytest.mark.parametrize("name", ["picture", "draw", "channel_level1", "y_level1", "stamp", "x"])
def test_a_level_that_xarray_would_take_for_labels_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    levels = [{"name": name, "channels": 3, "stride": 4}, {"name": "level1", "channels": 2, "stride": 1}]
    settings = SMALL["settings"](levels=levels)
    with pytest.raises(TedmError, match=f"no level of a store can be called {name}, which another array or a dimension is"):
        FeatureStore.create(tmp_path / "s", settings, SMALL["ARITHMETIC"], Storage("native", "float16"), {})
    assert not (tmp_path / "s").exists()
    FeatureStore.create(tmp_path / "s", settings, SMALL["ARITHMETIC"], Storage("upsampled", "float16"), {})
