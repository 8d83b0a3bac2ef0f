"""Several processes at one store, and processes that die: the bytes of one that worked alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import Forked

from tedm.store import FeatureStore

WRITERS = Path(__file__).with_name("writers.py")


def tree(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


def run(work: str, folder: Path, layout: str, *more: str) -> str:
    process = Forked(WRITERS, [work, folder, layout, *more])
    out, said = process.communicate(timeout=900)
    assert process.returncode == 0, said + out
    return out


@pytest.fixture(scope="module")
def writers() -> dict:
    import runpy

    return runpy.run_path(str(WRITERS))


@pytest.mark.parametrize(
    ("work", "layout"),
    [
        ("shards", "native"),
        ("same", "upsampled"),
        pytest.param("shards", "upsampled", marks=pytest.mark.slow),
        pytest.param("same", "native", marks=pytest.mark.slow),
    ],
)
def test_processes_that_start_at_once_on_a_new_path_end_in_the_bytes_of_one(tmp_path, writers, work, layout):
    writers["extract"](tmp_path / "alone", layout)
    run(work, tmp_path / "together", layout)
    for attempt in "abc":
        assert tree(tmp_path / "together" / attempt) == tree(tmp_path / "alone")


def test_a_live_writer_survives_that_its_partial_files_are_removed(tmp_path, writers):
    writers["extract"](tmp_path / "alone", "native")
    run("sweeping", tmp_path / "swept", "native")
    assert tree(tmp_path / "swept") == tree(tmp_path / "alone")


def test_a_process_killed_at_some_file_leaves_what_the_same_work_completes_to_the_same_bytes(tmp_path):
    assert int(run("killed", tmp_path / "native", "native", "45").split(":")[1]) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_a_process_killed_at_any_file_leaves_what_the_same_work_completes_to_the_same_bytes(tmp_path, layout):
    assert int(run("killed", tmp_path / layout, layout).split(":")[1]) > 80


def test_partial_files_of_images_that_others_write_are_spared(tmp_path, writers):
    writers["extract"](tmp_path / "s", "native", writers["NAMES"][:3])
    store = FeatureStore.open(tmp_path / "s")
    left = ["level1/c.3.0.0.0.0.aa.partial", "level1/c.4.0.0.0.0.bb.partial", "name/c.cc.partial", "zarr.dd.partial"]
    for key in left:
        (tmp_path / "s" / key).write_bytes(b"half")
    store.remove_partial_files(writers["NAMES"][3:4])
    assert sorted(str(f.relative_to(tmp_path / "s")) for f in (tmp_path / "s").rglob("*.partial")) == left[1:2]
    store.remove_partial_files()
    assert not list((tmp_path / "s").rglob("*.partial"))
