"""File systems that are full or read-only: real ones, mounted for the test; skipped where that is not allowed."""

from __future__ import annotations

import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.store import FeatureStore, Storage, verify

SMALL = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))


def large_cells(number: int) -> list[np.ndarray]:
    rng = np.random.default_rng(number)
    return [rng.normal(size=(2, 1, 64, 64, 16)).astype(np.float32)]


def test_a_disk_that_is_full_in_mid_run_keeps_what_was_finished_and_is_continued(mounted, tmp_path):
    """At every image that does not fit any more, whichever of its files is the one; then on a larger disk."""
    disk = mounted("-o", "size=1500k")
    large = SMALL["settings"](image_size=64, levels=[{"name": "level0", "channels": 16, "stride": 1}])
    names = [f"image {number}" for number in range(10)]

    def run(path: Path) -> FeatureStore:
        store = FeatureStore.create(path, large, SMALL["ARITHMETIC"], Storage("native", "float16"), {})
        store.register(SMALL["registrations"](names, mask=None), ())
        store.remove_partial_files()
        for name in store.missing():
            number = int(name[6:])
            store.write(name, np.random.default_rng(number).random((64, 64, 1), dtype=np.float32), large_cells(number))
        return store

    for _ in range(2):
        with pytest.raises(TedmError, match=r"cannot write image image \d .*: no space left on the device; free some"):
            run(disk / "s")
    store = FeatureStore.open(disk / "s")
    assert 1 < len(store.missing()) < 10
    for name in set(names) - set(store.missing()):
        assert np.array_equal(store.block(name).cells[0], large_cells(int(name[6:]))[0].astype(np.float16))
    assert {damage.image for damage in verify(store)} <= set(store.missing())
    subprocess.run(["mount", "-o", "remount,size=9m", str(disk)], check=True)
    run(disk / "s")
    run(tmp_path / "whole")
    assert SMALL["tree"](disk / "s") == SMALL["tree"](tmp_path / "whole")


def test_a_read_only_file_system_is_read_and_refuses_to_be_written(mounted):
    disk = mounted()
    store = SMALL["filled"](disk / "s")
    store.discard(["three"])
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    store = FeatureStore.open(disk / "s")
    assert np.array_equal(store.block("one").cells[0], SMALL["cells_of"]("one")[0].astype(np.float16))
    assert store.missing() == ["three"]
    assert verify(store) == []
    with pytest.raises(TedmError, match="cannot write image three .*: Read-only file system"):
        store.write("three", SMALL["image_of"]("three"), SMALL["cells_of"]("three"))
    with pytest.raises(TedmError, match="cannot create the store .*: Read-only file system"):
        SMALL["filled"](disk / "another")
    with pytest.raises(TedmError, match="cannot remove activations .*: Read-only file system"):
        store.discard(["one"])
