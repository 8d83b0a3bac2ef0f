"""Volumes and slices in a store: what went in comes back, and what cannot be so is refused."""

from __future__ import annotations

import dataclasses
import json
import runpy
from pathlib import Path

import pytest
import zarr

from tedm.errors import TedmError
from tedm.store import FeatureStore, Slice, Storage, Volume, verify
from tedm.store.volumes.volume import NO_SLICE

SMALL = runpy.run_path(str(Path(__file__).parents[1] / "test_disk.py"))
EYE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
ONE, TWO = (Volume(name, (5, 6, 3), EYE, (2, 1, 0), (False,) * 3) for name in ("p1", "p2"))


def slices(volume, indices, **place):
    registrations = SMALL["registrations"]([volume.slice_name(index) for index in indices])
    return [
        dataclasses.replace(each, volume=volume, slice=Slice(-1, index, **place))
        for each, index in zip(registrations, indices, strict=True)
    ]


@pytest.fixture
def store(tmp_path):
    made = FeatureStore.create(
        tmp_path / "s", SMALL["settings"](axis="axial"), SMALL["ARITHMETIC"], Storage("native", "float16"), {}
    )
    made.register(slices(ONE, range(3)), (0, 255))
    made.register(slices(TWO, range(2), top=-1, left=2, height=4, width=4) + SMALL["registrations"](["flat"]), (0, 255))
    return made


def test_volumes_and_places_come_back_and_an_image_may_be_no_slice(store):
    labels = FeatureStore.open(store.path).labels
    assert labels.volumes == (ONE, TWO)
    assert labels.volume_of("p2_001") == TWO
    assert labels.slice_of("p2_001") == Slice(1, 1, -1, 2, 4, 4)
    assert (labels.volume_of("flat"), labels.slice_of("flat")) == (None, NO_SLICE)
    assert [each for each in verify(store) if not each.image] == []


def test_a_store_without_volumes_has_the_arrays_that_it_always_had(tmp_path):
    plain = SMALL["filled"](tmp_path / "plain")
    assert not {"volume", "slice"} & {path.name for path in Path(plain.path).iterdir()}
    assert (plain.labels.volumes, plain.labels.slices) == ((), ())


def test_another_volume_of_a_name_that_is_there_is_refused_and_nothing_is_written(store):
    other = dataclasses.replace(ONE, shape=(5, 6, 9))
    with pytest.raises(TedmError, match="two volumes have the name p1"):
        store.register(slices(other, [8]), (0, 255))
    assert FeatureStore.open(store.path).labels == store.labels


def test_what_a_killed_process_left_of_a_volume_is_written_over(store):
    group = zarr.open_group(store.path, mode="r+")
    group["volume"].resize((3,))
    group["volume"][2:] = ["{}"]
    three = dataclasses.replace(ONE, name="p3")
    store.register(slices(three, [0]), (0, 255))
    assert FeatureStore.open(store.path).labels.volumes == (ONE, TWO, three)


@pytest.mark.parametrize(
    ("row", "text", "said"),
    [
        ([7, 0, 0, 0, 0, 0], None, "volume 7"),
        ([0, 3, 0, 0, 0, 0], None, "index 3"),
        ([0, 0, 0, 0, -4, 4], None, "shows"),
        ([0, 0, 0, 0, 0, 2], None, "shows"),
        ([-1, 5, 0, 0, 0, 0], None, "no volume"),
        (None, json.dumps({**ONE.to_json(), "shape": [0, 1, 1]}), "shape"),
        (None, "no JSON", "volumes"),
        (None, json.dumps(TWO.to_json()), "one name"),
    ],
)
def test_places_and_volumes_that_cannot_be_so_are_refused(store, row, text, said):
    group = zarr.open_group(store.path, mode="r+")
    if row is not None:
        group["slice"][0] = row
    if text is not None:
        group["volume"][:1] = [text]
    with pytest.raises(TedmError, match=said):
        FeatureStore.open(store.path)


def test_names_and_colours_of_classes_are_kept_and_go_with_their_values(store):
    store.name_classes(("background", "left thalamus"), ("#000000", "#00ff00"))
    assert FeatureStore.open(store.path).labels.class_names == ("background", "left thalamus")
    assert FeatureStore.open(store.path).labels.class_colours == ("#000000", "#00ff00")
    every = [dataclasses.replace(each) for name in store.labels.names for each in SMALL["registrations"]([name])]
    store.relabel(every, (0, 7))
    assert FeatureStore.open(store.path).labels.class_names == ()
