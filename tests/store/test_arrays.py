"""The files of a store's arrays, one an image."""

from __future__ import annotations

import os
import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest
import zarr

from tedm.errors import TedmError
from tedm.store import DamagedError, FeatureStore, Storage
from tedm.store.arrays import Arrays
from tedm.store.place import place

SMALL = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))


@pytest.fixture
def arrays(tmp_path):
    SMALL["filled"](tmp_path / "s")
    return Arrays(place(tmp_path / "s"), zarr.open_group(tmp_path / "s", mode="r+"), ["level0", "mask", "name", "labelled"])


def test_what_is_put_is_read_whole_or_at_some_timesteps(arrays):
    values = np.random.default_rng(6).normal(size=(2, 1, 2, 2, 3)).astype(np.float16)
    arrays.put("level0", 1, values)
    assert np.array_equal(arrays.read("level0", 1, image="b"), values)
    assert np.array_equal(arrays.read("level0", 1, [1], image="b"), values[1:])


def test_an_empty_chunk_is_there_and_a_deleted_file_is_not(arrays):
    arrays.put("level0", 0, np.zeros((2, 1, 2, 2, 3), np.float16))
    assert arrays.has("level0", [0])
    assert not arrays.read("level0", 0, image="a").any()
    arrays.delete("level0", 0)
    arrays.delete("level0", 0)
    assert not arrays.has("level0", [0])
    assert arrays.has("level0", range(3))
    assert arrays.read("level0", 0, image="a") is None


def test_a_file_that_cannot_be_decoded_is_named_with_its_image(arrays, tmp_path):
    (tmp_path / "s" / arrays.key("level0", 2)).write_bytes(b"nonsense")
    with pytest.raises(DamagedError, match="image c: array level0 of the store .* is damaged") as refused:
        arrays.read("level0", 2, image="c")
    again = pickle.loads(pickle.dumps(refused.value))
    assert (again.image, again.array, str(again)) == ("c", "level0", str(refused.value))


def test_columns_grow_and_a_column_that_is_gone_is_refused(arrays, tmp_path):
    arrays.enlarge("labelled", 5)
    arrays.put_column("labelled", 3, [7, 9])
    assert arrays.read_column("labelled", 5)[3:].tolist() == [7, 9]
    (tmp_path / "s" / arrays.key("name", 0)).unlink()
    with pytest.raises(TedmError, match="the labels name of its images are gone or unreadable"):
        arrays.read_column("name", 3)


def test_an_array_without_metadata_is_refused(tmp_path):
    SMALL["filled"](tmp_path / "s")
    (tmp_path / "s" / "level1" / "zarr.json").unlink()
    with pytest.raises(TedmError, match="the metadata of its array level1 are gone or unreadable"):
        Arrays(place(tmp_path / "s"), zarr.open_group(tmp_path / "s", mode="r+"), ["level1"])


def test_a_file_that_cannot_hold_so_much_is_not_decoded(tmp_path):
    """A shard can say that all its chunks are empty: a kilobyte of file, gigabytes of zeros."""
    settings = SMALL["settings"](image_size=4096, timesteps=list(range(100)))
    store = FeatureStore.create(tmp_path / "s", settings, SMALL["ARITHMETIC"], Storage("native", "float16"), {})
    store.register(SMALL["registrations"](["a"], mask=None), ())
    key = store.files_of("a")["level0"]
    (tmp_path / "s" / key).write_bytes(b"\xff" * 16 + b"crc!")
    with pytest.raises(DamagedError, match=r"its file has 20 bytes, too few for the 0.629 GB of an entry"):
        store.read_file("level0", "a")


def test_nothing_is_written_through_a_link(tmp_path):
    store = SMALL["filled"](tmp_path / "s")
    (tmp_path / "s" / "mask").rename(tmp_path / "elsewhere")
    (tmp_path / "s" / "mask").symlink_to(tmp_path / "elsewhere")
    before = SMALL["tree"](tmp_path / "elsewhere")
    store = FeatureStore.open(tmp_path / "s")
    assert store.mask("one").shape == (8, 8)
    for write in (store.relabel, store.register):
        with pytest.raises(TedmError, match=r"s/mask is a link, and nothing is written through it; put the folder"):
            write(SMALL["registrations"](["one" if write == store.relabel else "four"]), (0, 255))
    assert SMALL["tree"](tmp_path / "elsewhere") == before


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path):
    store = SMALL["filled"](tmp_path / "s")
    for key in ("mask/c.0.0.0", "split/c.0"):
        (tmp_path / "s" / key).unlink()
        os.mkfifo(tmp_path / "s" / key)
    with pytest.raises(DamagedError, match="its file is gone"):
        store.mask("one")
    with pytest.raises(TedmError, match="the labels split of its images are gone or unreadable"):
        FeatureStore.open(tmp_path / "s")
