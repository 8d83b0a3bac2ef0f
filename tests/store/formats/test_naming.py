"""Formats of a store: new stores have the newest, and those of before are read, continued and checked in their own."""

from __future__ import annotations

import dataclasses
import json
import runpy
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from xarray5_stores import first_format

from tedm.errors import TedmError
from tedm.store import FeatureStore, Source, Storage, verify
from tedm.store.formats.naming import FIRST, FORMATS, NEWEST, format_of

SMALL = runpy.run_path(str(Path(__file__).parents[1] / "test_disk.py"))
NAMES, tree = SMALL["NAMES"], SMALL["tree"]
BEFORE = Path(__file__).parents[2] / "data" / "before"


def old(path: Path, layout: str = "native", names: list[str] = NAMES) -> FeatureStore:
    """A whole store of format 1."""
    store = first_format(path, SMALL["SETTINGS"], SMALL["ARITHMETIC"], Storage(layout, "float16"), {"tedm": "0"})
    store.register(SMALL["registrations"](names), (0, 255))
    return filled(store)


def filled(store: FeatureStore) -> FeatureStore:
    for name in store.missing():
        store.write(name, SMALL["image_of"](name), SMALL["cells_of"](name))
    return store


def test_a_number_is_a_format_and_others_are_none() -> None:
    assert [format_of(form.number) for form in FORMATS] == [FIRST, NEWEST]
    for other in (0, 3, "2", None, [2], {}):
        assert format_of(other) is None
    assert (FIRST.called("name"), NEWEST.called("name"), NEWEST.called("split")) == ("name", "image", "split")


def test_a_new_store_has_the_newest_format_and_one_of_before_keeps_its_own(tmp_path: Path) -> None:
    assert SMALL["filled"](tmp_path / "new").form == NEWEST
    store = old(tmp_path / "old", names=NAMES[:2])
    assert store.form == FIRST
    SMALL["filled"](tmp_path / "old")  # creates it again, and completes it
    assert FeatureStore.open(tmp_path / "old").form == FIRST
    assert json.loads((tmp_path / "old" / "zarr.json").read_text())["attributes"]["tedm"]["format"] == 1
    assert {path.name for path in (tmp_path / "old").iterdir()} == {
        *("name", "split", "group", "domain", "original_size", "labelled", "source"),
        *("image", "mask", "timestep", "level0", "level1", "zarr.json"),
    }


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_a_store_of_before_that_grows_ends_in_the_bytes_of_one_made_at_once(tmp_path: Path, layout: str) -> None:
    old(tmp_path / "once", layout)
    store = old(tmp_path / "twice", layout, NAMES[:1])
    store.register(SMALL["registrations"](), (0, 255))
    filled(FeatureStore.open(tmp_path / "twice"))
    assert tree(tmp_path / "once") == tree(tmp_path / "twice")
    assert verify(store) == []


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_what_is_read_from_a_store_does_not_depend_on_its_format(tmp_path: Path, layout: str) -> None:
    stores = old(tmp_path / "old", layout), SMALL["filled"](tmp_path / "new", layout)
    assert stores[0].labels == stores[1].labels
    for name in NAMES:
        np.testing.assert_array_equal(stores[0].image(name), stores[1].image(name))
        np.testing.assert_array_equal(stores[0].mask(name), stores[1].mask(name))
        for ours, theirs in zip(stores[0].block(name).cells, stores[1].block(name).cells, strict=True):
            assert ours.tobytes() == theirs.tobytes()


def test_a_store_of_before_is_relabelled_named_recorded_and_discarded_in_its_own_layout(tmp_path: Path) -> None:
    store = old(tmp_path / "s")
    there = tree(tmp_path / "s").keys()
    (mask,) = SMALL["registrations"](["one"], mask=np.eye(8, dtype=np.uint8), split="test")
    store.relabel([mask], (0, 255))
    store.name_classes(("background", "lung"))
    store.record({"one": Source()})
    store.discard(["three"])
    assert FeatureStore.open(tmp_path / "s").missing() == ["three"]
    filled(store)
    again = FeatureStore.open(tmp_path / "s")
    assert tree(tmp_path / "s").keys() == there
    assert (again.labels.splits, again.labels.class_names) == (("test", "train", "train"), ("background", "lung"))
    assert "consolidated_metadata" not in json.loads((tmp_path / "s" / "zarr.json").read_text())
    assert verify(again) == []


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_the_documents_of_format_1_are_those_that_the_version_of_then_wrote(tmp_path: Path, layout: str) -> None:
    with zipfile.ZipFile(BEFORE / "unreleased.zip") as archive:
        archive.extractall(tmp_path / "then")
    then = FeatureStore.open(tmp_path / "then" / layout)
    first_format(tmp_path / "now", then.settings, then.arithmetic, then.storage, then.provenance)
    written = {str(file.relative_to(then.path)): json.loads(file.read_text()) for file in then.path.rglob("zarr.json")}
    for key, document in written.items():
        now = json.loads((tmp_path / "now" / key).read_text())
        for each in (document, now):
            each.pop("shape", None)
            each.get("attributes", {}).get("tedm", {}).pop("classes", None)
        assert now == document, key
    assert {str(file.relative_to(tmp_path / "now")) for file in (tmp_path / "now").rglob("zarr.json")} - {
        "source/zarr.json"
    } == set(written)


def test_a_store_of_before_is_no_store_of_other_settings(tmp_path: Path) -> None:
    old(tmp_path / "s")
    before = tree(tmp_path / "s")
    FeatureStore.create(tmp_path / "s", SMALL["SETTINGS"], SMALL["ARITHMETIC"], Storage("native", "float16"), {})
    other = SMALL["settings"](noise_seed=1)
    with pytest.raises(TedmError, match="is a store of other settings already"):
        FeatureStore.create(tmp_path / "s", other, SMALL["ARITHMETIC"], Storage("native", "float16"), {})
    assert tree(tmp_path / "s") == before


@pytest.mark.parametrize("number", [0, 3, 2.5, "2", None, [2], {"a": 1}])
def test_a_format_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path, number: object) -> None:
    SMALL["filled"](tmp_path / "s")
    document = json.loads((tmp_path / "s" / "zarr.json").read_text())
    document["attributes"]["tedm"]["format"] = number
    (tmp_path / "s" / "zarr.json").write_text(json.dumps(document))
    before = tree(tmp_path / "s")
    for attempt in (FeatureStore.open, SMALL["filled"]):
        with pytest.raises(TedmError, match="has a format that this version of tedm does not know; install a newer tedm"):
            attempt(tmp_path / "s")
    assert tree(tmp_path / "s") == before


@pytest.mark.parametrize("says", [1, 2])
def test_a_store_that_says_it_has_the_other_format_is_damaged(tmp_path: Path, says: int) -> None:
    made = SMALL["filled"](tmp_path / "s") if says == 1 else old(tmp_path / "s")
    document = json.loads((tmp_path / "s" / "zarr.json").read_text())
    document["attributes"]["tedm"]["format"] = says
    (tmp_path / "s" / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(TedmError, match="is damaged: "):
        FeatureStore.open(made.path)


def test_names_that_are_gone_under_the_images_of_a_store_of_before_are_refused(tmp_path: Path) -> None:
    store = old(tmp_path / "s")
    shutil.rmtree(tmp_path / "s" / "name")
    with pytest.raises(TedmError, match="the metadata of its array name are gone"):
        FeatureStore.open(store.path)


def test_a_mask_of_before_may_be_given_later(tmp_path: Path) -> None:
    store = first_format(tmp_path / "s", SMALL["SETTINGS"], SMALL["ARITHMETIC"], Storage("native", "float16"), {})
    first, *_ = SMALL["registrations"]()
    store.register([dataclasses.replace(first, mask=None)], ())
    store.relabel([first], (0, 255))
    assert FeatureStore.open(tmp_path / "s").labels.classes == (0, 255)
