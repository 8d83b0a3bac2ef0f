"""A store that says what cannot be so is refused in one line that names the key."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from tedm.errors import TedmError
from tedm.store import FeatureSettings, FeatureStore, Registration, Storage
from tedm.store.checks import DEEPEST, checked, checked_provenance

SMALL = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "s"
    SMALL["filled"](path)
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    """A store to break."""
    return Path(shutil.copytree(whole, tmp_path / "s"))


def edit(path: Path, keys: str, value: object, document: str = "zarr.json") -> None:
    """Put a value under keys with dots between; ... removes the key."""
    content = json.loads((path / document).read_text())
    *way, last = keys.split(".")
    holder = content["attributes"]["tedm"] if document == "zarr.json" else content
    for key in way:
        holder = holder[int(key) if key.isdecimal() else key]
    at = int(last) if last.isdecimal() else last
    if value is ...:
        del holder[at]
    else:
        holder[at] = value
    (path / document).write_text(json.dumps(content))


def refusal(path: Path) -> str:
    with pytest.raises(TedmError) as caught:
        FeatureStore.open(path)
    text = str(caught.value)
    assert text.startswith(f"the store {path} is damaged: ")
    assert "\n" not in text
    assert text.endswith("or extract to a new path")
    return text


SETTINGS = [
    ("settings.surprise", 1, "settings.surprise is unknown here; is it of a newer tedm"),
    ("settings.timesteps", ..., "settings.timesteps is missing"),
    ("settings", [], "settings is no object"),
    ("settings.image_size", -8, "settings.image_size is -8, not a number from 1 to 65536"),
    ("settings.image_size", 10**12, "settings.image_size is 1000000000000, not"),
    ("settings.image_size", "8", "settings.image_size: expected `int`, got `str`"),
    ("settings.image_size", True, "settings.image_size: expected `int`, got `bool`"),
    ("settings.levels", [], "settings.levels names no level, or one twice"),
    ("settings.levels.0.name", "../level0", "settings.levels[0].name is '../level0', which no level can be called"),
    ("settings.levels.0.name", "mask", "settings.levels[0].name is 'mask', which no level can be called"),
    ("settings.levels.1.name", "level0", "settings.levels names no level, or one twice"),
    ("settings.levels.0.channels", 0, "settings.levels[0].channels is 0, not"),
    ("settings.levels.0.stride", 3, "settings.levels[0].stride is 3, which does not divide the image size 8"),
    ("settings.levels.0.stride", 0, "settings.levels[0].stride is 0, which does not divide"),
    ("settings.levels.0.stride", ..., "settings.levels[0]: object missing required field `stride`"),
    ("settings.geometry", "fold", "settings.geometry: invalid enum value 'fold'"),
    ("settings.input_range", [1.0, 1.0], "settings.input_range is 1.0, 1.0, not two different numbers"),
    ("settings.input_range", [float("nan"), 1.0], "settings.input_range is nan, 1.0"),
    ("settings.intensity_range", [0.0], "settings.intensity_range: expected `array` of length 2"),
    ("settings.timesteps", [], "settings.timesteps are "),
    ("settings.timesteps", [1, 1], "settings.timesteps are 1, 1, not different numbers"),
    ("settings.timesteps", [-1, 50], "settings.timesteps are -1, 50"),
    ("settings.draws", 0, "settings.draws is 0"),
    ("arithmetic", ..., "arithmetic is missing"),
    ("arithmetic.threads", 10**9, "arithmetic.threads is 1000000000, not a number from 1 to 4096"),
    ("arithmetic.batch_size", 0, "arithmetic.batch_size is 0"),
    ("arithmetic.device", "toaster", "arithmetic.device: invalid enum value 'toaster'"),
    ("storage.dtype", 256, "storage.dtype: "),
    ("storage.layout", ..., "storage.layout is missing"),
    ("provenance", "x", "provenance is no object"),
    ("classes", [255, 255], "classes are 255, 255, not up to 255 different numbers"),
    ("classes", [0, 0], "classes are 0, 0"),
    ("classes", [{}, 255], "classes are no whole numbers"),
    ("classes", list(range(256)), "classes are 0, 1"),
]


@pytest.mark.parametrize(("keys", "value", "said"), SETTINGS, ids=[f"{keys} {value!r:.12}" for keys, value, _ in SETTINGS])
def test_a_setting_that_cannot_be_so_is_named(path, keys, value, said):
    edit(path, keys, value)
    assert f"its metadata zarr.json: {said}" in refusal(path)


ARRAYS = [
    (
        "level0",
        "shape",
        [3, 2, 1, 2, 2, 5],
        "level0/zarr.json: entries of shape [2, 1, 2, 2, 5], and by the settings [2, 1, 2, 2, 3]",
    ),
    ("level0", "data_type", "float64", "level0/zarr.json: numbers of type"),
    ("mask", "fill_value", 0, "mask/zarr.json: an empty value of 0, and by the settings 255"),
    ("mask", "chunk_grid.configuration.chunk_shape", [3, 8, 8], "mask/zarr.json: files of shape"),
    ("name", "chunk_grid.configuration.chunk_shape", [10**12], "name/zarr.json: files of shape"),
    ("image", "chunk_key_encoding.configuration.separator", "/", "image/zarr.json: files named by"),
    ("mask", "codecs.1", {"name": "gzip", "configuration": {"level": 1}}, "mask/zarr.json: its codecs gzip are none of tedm's"),
    ("mask", "shape", [2, 8, 8], "its labels cannot be so: mask: room for 2 of 3 images"),
]


@pytest.mark.parametrize(("array", "keys", "value", "said"), ARRAYS, ids=[f"{array} {keys}" for array, keys, _, _ in ARRAYS])
def test_an_array_that_contradicts_the_settings_is_named(path, array, keys, value, said):
    edit(path, keys, value, f"{array}/zarr.json")
    assert said in refusal(path)


def test_settings_that_contradict_the_arrays_are_told_for_each_array(path):
    edit(path, "settings.timesteps", [1, 50, 75])
    text = refusal(path)
    assert "level0/zarr.json: entries of shape" in text
    assert "level1/zarr.json: entries of shape" in text


@pytest.mark.parametrize("content", ["[" * 100_000, '{"attributes": {"tedm": ', "\xff", "null", "[]", '{"attributes": 3}'])
def test_a_document_that_is_no_stores_is_refused(path, content):
    (path / "zarr.json").write_text(content, encoding="latin-1")
    with pytest.raises(TedmError, match=r"is damaged: its metadata zarr.json|is no feature store"):
        FeatureStore.open(path)


@pytest.mark.parametrize("content", ["[" * 100_000, "null", "{}", '{"zarr_format": 3, "node_type": "group"}'])
def test_metadata_of_an_array_that_are_none_are_refused(path, content):
    (path / "level0" / "zarr.json").write_text(content)
    with pytest.raises(TedmError, match="the metadata of its array level0 are gone or unreadable"):
        FeatureStore.open(path)


def test_what_is_consolidated_is_not_believed(path):
    document = json.loads((path / "zarr.json").read_text())
    inside = {"level0": {**json.loads((path / "level0" / "zarr.json").read_text()), "shape": [3, 2, 1, 2, 2, 9]}}
    document["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": inside}
    (path / "zarr.json").write_text(json.dumps(document))
    assert FeatureStore.open(path).labels.names == tuple(SMALL["NAMES"])


LABELS = [
    ("name", 1, "one", "name: 'one' is there twice"),
    ("split", 0, "exam", "split: image 'one' is in 'exam', none of train, val, test"),
    ("original_size", 2, [0, 5], "original_size: image 'three' has 0 x 5 pixels"),
    ("original_size", 2, [2**31 - 1, 2**31 - 1], "original_size: image 'three' has 2147483647 x 2147483647 pixels"),
    ("labelled", 0, -1, "labelled: image 'one' has -1 labelled pixels of 64"),
    ("labelled", 0, 65, "labelled: image 'one' has 65 labelled pixels of 64"),
]


@pytest.mark.parametrize(("column", "at", "value", "said"), LABELS, ids=[f"{each[0]} {each[2]}" for each in LABELS])
def test_labels_that_cannot_be_so_are_named_with_their_image(path, column, at, value, said):
    zarr.open_group(path, mode="r+")[column][at] = value
    assert said in refusal(path)


@pytest.mark.parametrize("length", [70_000, 2**31, 10**12])
def test_room_for_more_images_than_there_are_takes_no_memory(path, length):
    for name in ("name", "split", "mask", "level0"):
        edit(path, "shape.0", length, f"{name}/zarr.json")
    assert FeatureStore.open(path).labels.names == tuple(SMALL["NAMES"])


def test_a_mask_with_an_index_that_is_no_class_is_damaged(path):
    group = zarr.open_group(path, mode="r+")
    group["mask"][1, 0, 5] = 7
    store = FeatureStore.open(path)
    with pytest.raises(
        TedmError, match=r"image zwei ü: array mask .* damaged \(it has the class index 7, and the store 2 classes\)"
    ):
        store.mask("zwei ü")


def test_names_that_are_no_files_can_be_looked_at(tmp_path):
    store = FeatureStore.create(tmp_path / "s", SMALL["SETTINGS"], SMALL["ARITHMETIC"], Storage("native", "float16"), {})
    names = ["../x", "/etc/x", "line\nbreak", "nul\0x", "\u202ex", "con"]
    store.register([Registration(name, "", name, "", (8, 8), None) for name in names], (0, 255))
    assert FeatureStore.open(tmp_path / "s").labels.names == tuple(names)


def test_what_is_kept_for_people_is_as_deep_as_people_need():
    deep: object = 1
    for _ in range(DEEPEST - 1):
        deep = [deep]
    assert checked_provenance({"a": deep}) == {"a": deep}
    with pytest.raises(ValueError, match=f"provenance is deeper than {DEEPEST} lists in lists"):
        checked_provenance({"a": [deep]})


def test_settings_come_back_as_they_were():
    settings = SMALL["SETTINGS"]
    again = checked(FeatureSettings, json.loads(json.dumps(settings.to_json())), "settings")
    assert again == settings
    assert np.array_equal(again.timesteps, settings.timesteps)
