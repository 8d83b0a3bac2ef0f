"""A store without images, as files that follow from its settings alone."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from tedm.store import Storage
from tedm.store.skeleton import ROOT, feature_arrays, shard_key, skeleton

SETTINGS = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))["SETTINGS"]


@pytest.mark.parametrize(("layout", "arrays"), [("native", ["level0", "level1"]), ("upsampled", ["features"])])
def test_the_files_are_the_same_each_time_and_the_groups_own_come_last(layout, arrays):
    storage = Storage(layout, "float16")
    files = skeleton(SETTINGS, storage, {"format": 1})
    assert files == skeleton(SETTINGS, storage, {"format": 1})
    assert list(files)[-1] == ROOT
    assert feature_arrays(SETTINGS, storage) == arrays
    assert {f"{name}/{ROOT}" for name in [*arrays, "image", "mask", "name", "timestep"]} <= files.keys()
    assert json.loads(files[ROOT])["attributes"]["tedm"] == {"format": 1}


def test_an_image_is_one_shard_of_an_array_that_keeps_empty_chunks():
    files = skeleton(SETTINGS, Storage("native", "float32"), {})
    metadata = json.loads(files[f"level0/{ROOT}"])
    assert metadata["shape"] == [0, 2, 1, 2, 2, 3]
    assert metadata["chunk_grid"]["configuration"]["chunk_shape"] == [1, 2, 1, 2, 2, 3]
    assert metadata["dimension_names"] == ["image", "timestep", "draw", "y_level0", "x_level0", "channel_level0"]


def test_a_key_names_the_file_of_an_image():
    assert shard_key("level0", 7, 6) == "level0/c.7.0.0.0.0.0"
    assert shard_key("name", 0, 1) == "name/c.0"
