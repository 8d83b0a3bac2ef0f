"""The metadata of all arrays in the root document: xarray opens a store by them, and they are never out of date."""

from __future__ import annotations

import dataclasses
import json
import os
import runpy
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from tedm.store import FeatureStore, Registration, Slice, Source, Storage, Volume, verify
from tedm.store.about import ATTEMPTS, consolidate
from tedm.store.formats.consolidated import KEY, consolidated
from tedm.store.formats.naming import NEWEST
from tedm.store.place import place

SMALL = runpy.run_path(str(Path(__file__).parents[1] / "test_disk.py"))
NAMES, tree = SMALL["NAMES"], SMALL["tree"]
EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def opened(path: Path) -> xr.Dataset:
    """The store as anybody's xarray opens it, without options and without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data: xr.Dataset = xr.open_zarr(path)
    return data


def require_current(path: Path) -> None:
    """What the root document says of each array is what the array says."""
    said = json.loads((path / "zarr.json").read_text())[KEY]["metadata"]
    arrays = {file.parent.name: json.loads(file.read_text()) for file in path.glob("*/zarr.json")}
    arrays.pop("views", None)
    assert said == arrays
    assert list(said) == sorted(said)


def in_volumes(path: Path) -> FeatureStore:
    settings = SMALL["settings"](axis="axial", image_channels=2, channel_names=("t1", "t2"))
    return FeatureStore.create(path, settings, SMALL["ARITHMETIC"], Storage("native", "float16"), {})


def slices(name: str, indices: range) -> list[Registration]:
    volume = Volume(name, (8, 8, 9), EYE, (2, 1, 0), (False,) * 3)
    images = SMALL["registrations"]([volume.slice_name(index) for index in indices])
    return [dataclasses.replace(each, volume=volume, slice=Slice(-1, at)) for at, each in zip(indices, images, strict=True)]


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_xarray_opens_a_store_and_finds_images_by_name_before_and_after_it_grows(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "s"
    store = SMALL["filled"](path, layout, names=["p1"])
    for names in (["p1"], ["p1", "zwei ü", "p3"]):
        store.register(SMALL["registrations"](names), (0, 255))
        for name in store.missing():
            store.write(name, SMALL["image_of"](name), SMALL["cells_of"](name))
        data = opened(path)
        assert list(data["image"].values) == names
        at = data.sel(image=names[-1], timestep=50)
        (block,) = store.blocks([names[-1]], [50])
        np.testing.assert_array_equal(at["picture"], store.image(names[-1]))
        np.testing.assert_array_equal(at["mask"], store.mask(names[-1]))
        assert str(at["split"].values) == "train"
        if layout == "upsampled":
            np.testing.assert_array_equal(at["features"], block.at_image_resolution()[0])
            np.testing.assert_array_equal(at["features"][..., (at["level"] == "level1").values], block.cells[1][0])
            assert list(data["channel"].values) == [0, 1, 2, 3, 4]
        else:
            np.testing.assert_array_equal(at["level1"], block.cells[1][0])
            np.testing.assert_array_equal(at["level1"].sel(channel_level1=4), block.cells[1][0][..., 1])
            assert list(data["channel_level0"].values) == [0, 1, 2]
        assert {"split", "group", "domain"} <= set(data.coords)
        require_current(path)


def test_a_store_of_volumes_opens_with_the_names_of_its_channels(tmp_path: Path) -> None:
    store = in_volumes(tmp_path / "s")
    assert opened(tmp_path / "s").sizes["image"] == 0
    for volume, count in (("p1", 3), ("p2", 2)):
        store.register(slices(volume, range(count)), (0, 255))
        data = opened(tmp_path / "s")
        assert list(data["image"].values) == list(store.labels.names)
        assert list(data["image_channel"].values) == ["t1", "t2"]
        assert data.sel(image="p1_001", timestep=50, image_channel="t2")["picture"].dims == ("y", "x")
        require_current(tmp_path / "s")


def test_a_store_without_images_opens_and_so_does_one_whose_sources_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    FeatureStore.create(path, SMALL["SETTINGS"], SMALL["ARITHMETIC"], Storage("native", "float16"), {})
    assert opened(path).sizes["image"] == 0
    require_current(path)
    store = SMALL["filled"](path, names=NAMES[:2])
    shutil.rmtree(path / "source")
    store = FeatureStore.open(path)
    store.register(SMALL["registrations"](), (0, 255))
    assert "source" not in opened(path)
    store.record({NAMES[1]: Source()})
    assert opened(path)["source"].shape == (3, 4)
    require_current(path)


def test_no_finished_call_leaves_it_out_of_date(tmp_path: Path) -> None:
    path = tmp_path / "s"
    store = SMALL["filled"](path, names=NAMES[:2])
    (mask,) = SMALL["registrations"](["one"], mask=np.eye(8, dtype=np.uint8))
    calls: list[Callable[[], object]] = [
        lambda: store.register(SMALL["registrations"](), (0, 255)),
        lambda: store.name_classes(("background", "lung"), ("#000000", "#ff0000")),
        lambda: store.relabel([mask], (0, 255)),
        lambda: store.record({"one": Source()}),
        lambda: store.discard(["one"]),
    ]
    for call in calls:
        document = json.loads((path / "zarr.json").read_text())
        del document[KEY]
        (path / "zarr.json").write_text(json.dumps(document))
        call()
        require_current(path)
    assert FeatureStore.open(path).labels.class_names == ("background", "lung")


def test_it_does_not_grow_with_the_images_nor_with_the_calls(tmp_path: Path) -> None:
    store = SMALL["filled"](tmp_path / "s")
    before = (tmp_path / "s" / "zarr.json").stat().st_size
    for count in range(4, 8):
        store.register(SMALL["registrations"]([f"image {number}" for number in range(count)]), (0, 255))
        store.record({"one": Source()})
    assert (tmp_path / "s" / "zarr.json").stat().st_size <= before + 20


def test_nothing_is_written_where_it_is_up_to_date(tmp_path: Path) -> None:
    store = SMALL["filled"](tmp_path / "s")
    before = (tmp_path / "s" / "zarr.json").stat()
    store.register(SMALL["registrations"](), (0, 255))
    store.discard([])
    after = (tmp_path / "s" / "zarr.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_views_inside_a_store_have_their_own(tmp_path: Path) -> None:
    store = SMALL["filled"](tmp_path / "s")
    SMALL["filled"](tmp_path / "s" / "views", names=NAMES[:1])
    store.register(SMALL["registrations"]([*NAMES, "four"]), (0, 255))
    for path, count in ((tmp_path / "s", 4), (tmp_path / "s" / "views", 1)):
        assert opened(path).sizes["image"] == count
        require_current(path)


def killed_at(path: Path, moment: int, work: Callable[[], None]) -> bool:
    """Do it in a process that dies before the k-th file of the store is renamed into its place; whether it got so far."""
    child = os.fork()
    if not child:
        seen = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if event == "os.rename" and str(path) in str(arguments[0]):
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_whoever_is_killed_while_a_store_grows_leaves_what_xarray_opens_and_the_same_call_mends(tmp_path: Path) -> None:
    """At every fourth file that a registration writes: xarray sees the images of before or those of after, never a mixture."""
    SMALL["filled"](tmp_path / "before", names=NAMES[:1])
    new = SMALL["registrations"]()
    shutil.copytree(tmp_path / "before", tmp_path / "whole")
    FeatureStore.open(tmp_path / "whole").register(new, (0, 255))
    moment, path = -3, tmp_path / "s"
    while True:
        moment += 4
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(tmp_path / "before", path)
        killed = killed_at(path, moment, lambda: FeatureStore.open(path).register(new, (0, 255)))
        assert list(opened(path)["image"].values) == (NAMES[:1] if killed else NAMES)
        if moment % 3 == 0:  # whatever is done next, nothing that has no name is shown
            FeatureStore.open(path).name_classes(("a", "b"))
            assert list(opened(path)["image"].values) == list(FeatureStore.open(path).labels.names)
            FeatureStore.open(path).name_classes(("", ""))
        else:
            FeatureStore.open(path).register(new, (0, 255))
            FeatureStore.open(path).remove_partial_files()
            assert tree(path) == tree(tmp_path / "whole"), moment
        if not killed:
            break
    assert moment > 20


def test_what_a_process_that_grows_meanwhile_has_enlarged_is_not_shown_yet() -> None:
    def document(*shape: int, of: str = "image") -> dict[str, Any]:
        return {"shape": list(shape), "dimension_names": [of, *"xyz"[: len(shape) - 1]]}

    arrays = {"mask": document(5, 8, 8), "image": document(5), "source": document(2, 4), "draw": document(1, of="draw")}
    said: Any = consolidated(arrays, 3)["metadata"]
    assert {name: each["shape"] for name, each in said.items()} == {"draw": [1], "image": [3], "mask": [3, 8, 8]}
    for strange in ({}, {"shape": 3}, {"shape": []}, {"shape": ["x"]}, {"shape": [3], "dimension_names": None}):
        assert consolidated({"draw": strange}, 3)["metadata"] == {}  # type: ignore[dict-item]


def test_a_document_that_another_process_writes_meanwhile_is_written_again_until_it_is_right(tmp_path: Path) -> None:
    store = SMALL["filled"](tmp_path / "s")
    current, tries = (tmp_path / "s" / "zarr.json").read_bytes(), 0
    stale = json.loads(current)
    stale[KEY]["metadata"]["mask"]["shape"][0] = 1

    def images() -> int:
        nonlocal tries
        tries += 1
        if tries <= 5:  # after we have written, before we look again
            (tmp_path / "s" / "zarr.json").write_text(json.dumps(stale))
        return 3

    consolidate(place(tmp_path / "s"), NEWEST, store.arrays, images)
    assert tries == 6 < ATTEMPTS
    assert (tmp_path / "s" / "zarr.json").read_bytes() == current


def test_a_document_that_is_out_of_date_is_named_and_mended(tmp_path: Path) -> None:
    store = SMALL["filled"](tmp_path / "s")
    before = tree(tmp_path / "s")
    document = json.loads((tmp_path / "s" / "zarr.json").read_text())
    document[KEY]["metadata"]["image"]["shape"] = [2]
    (tmp_path / "s" / "zarr.json").write_text(json.dumps(document, indent=2))
    store = FeatureStore.open(tmp_path / "s")
    assert store.labels.names == tuple(NAMES)
    (found,) = verify(store)
    assert (found.image, found.array) == ("", "zarr.json")
    assert "out of date; tedm-verify --repair mends it" in found.cause
    store.discard([])
    assert verify(store) == []
    assert tree(tmp_path / "s") == before


@pytest.mark.parametrize("strange", [None, [], "x", 5, {}, {"kind": "inline", "metadata": {"mask": 3}}])
def test_whatever_stands_there_is_not_believed_and_written_over(tmp_path: Path, strange: object) -> None:
    SMALL["filled"](tmp_path / "s")
    before = tree(tmp_path / "s")
    document = json.loads((tmp_path / "s" / "zarr.json").read_text())
    document[KEY] = strange
    (tmp_path / "s" / "zarr.json").write_text(json.dumps(document))
    store = FeatureStore.open(tmp_path / "s")
    store.register(SMALL["registrations"](), (0, 255))
    assert tree(tmp_path / "s") == before
    assert zarr.open_consolidated(tmp_path / "s")["mask"].shape == (3, 8, 8)  # type: ignore[union-attr]


def test_a_store_that_nobody_may_write_is_opened_and_nothing_new_is_registered_in_it(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; see test_file_systems.py")
    store = SMALL["filled"](tmp_path / "s")
    for folder in (tmp_path / "s", *(path for path in (tmp_path / "s").iterdir() if path.is_dir())):
        folder.chmod(0o500)
    store.register(SMALL["registrations"](), (0, 255))
    assert opened(tmp_path / "s").sizes["image"] == 3
