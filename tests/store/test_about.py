"""What a store says of itself."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.store import FeatureStore, Storage
from tedm.store.about import About, about_place, is_unfinished, same_store
from tedm.store.place import place

SMALL = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))
ABOUT = About(SMALL["SETTINGS"], SMALL["ARITHMETIC"], Storage("native", "float16"), (0, 255), {"tedm": "0", "deep": {"a": [1]}})


def test_json_brings_it_back():
    assert About.from_json(json.loads(json.dumps(ABOUT.to_json()))) == ABOUT


def test_classes_and_origin_are_all_in_which_two_descriptions_of_a_store_may_differ():
    values = ABOUT.to_json()
    assert same_store(values, {**values, "classes": [], "provenance": {}})
    assert not same_store(values, {**values, "storage": {"layout": "native", "dtype": "float32"}})
    assert not same_store(values, None)


def test_a_store_has_its_document_and_other_places_have_none(tmp_path):
    SMALL["filled"](tmp_path / "s")
    about = about_place(place(tmp_path / "s"))
    assert about is not None
    assert About.from_json(about).classes == (0, 255)
    (tmp_path / "zarr.json").write_text('{"attributes": {}}')
    assert about_place(place(tmp_path)) is None
    assert about_place(place(tmp_path / "absent")) is None


@pytest.mark.parametrize("change", ["settings", "arithmetic", "classes"])
def test_metadata_that_lack_something_are_refused_and_not_a_traceback(tmp_path, change):
    SMALL["filled"](tmp_path / "s")
    metadata = json.loads((tmp_path / "s" / "zarr.json").read_text())
    del metadata["attributes"]["tedm"][change]
    (tmp_path / "s" / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(TedmError, match=f"is damaged: its metadata zarr.json: {change} is missing"):
        FeatureStore.open(tmp_path / "s")


def test_a_store_whose_making_was_interrupted_is_told_from_a_folder_of_others():
    assert is_unfinished(["level0/zarr.json", "timestep/c.0", "name/zarr.json.ab.partial"])
    assert not is_unfinished(["level0/zarr.json", "thesis.tex"])
    assert not is_unfinished([])
