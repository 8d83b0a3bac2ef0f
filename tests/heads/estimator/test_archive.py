"""A skops file that is not what it says is refused before skops reads it."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from tedm.heads.estimator.archive import ALLOWANCE, checked_archive
from tedm.heads.estimator.persistence import read_estimator, write_estimator


@pytest.fixture(scope="module")
def forest(tmp_path_factory):
    path = tmp_path_factory.mktemp("forest") / "estimator.skops"
    write_estimator(RandomForestClassifier(2, max_depth=2, random_state=0).fit(*load_iris(return_X_y=True)), path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path, contents):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def tree_of(schema):
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict) and value.get("__loader__") == "TreeNode":
            return value
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    raise AssertionError


def test_a_sound_file_is_unpacked_as_it_is(forest, tmp_path):
    unpacked = checked_archive(written(tmp_path / "estimator.skops", forest))
    with zipfile.ZipFile(io.BytesIO(unpacked)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == forest


def test_a_file_of_kilobytes_that_unpacks_to_much_is_refused(forest, tmp_path):
    path = written(tmp_path / "estimator.skops", forest | {"bomb": bytes(ALLOWANCE + 10**7)})
    assert path.stat().st_size < 10**5
    with pytest.raises(ValueError, match="unpacks to more than"):
        read_estimator(path)


COUNTS = {
    "more nodes": lambda tree: tree["content"]["content"]["node_count"].update(content="1000000000"),
    "fewer nodes": lambda tree: tree["content"]["content"]["node_count"].update(content="0"),
    "a count that is none": lambda tree: tree["content"]["content"]["node_count"].update(content='"x"'),
    "more outputs": lambda tree: tree["__reduce__"]["args"]["content"][2].update(content="1000000000000"),
    "no features": lambda tree: tree["__reduce__"]["args"]["content"][0].update(content="0"),
    "an argument less": lambda tree: tree["__reduce__"]["args"]["content"].pop(),
    "no nodes": lambda tree: tree["content"]["content"].pop("nodes"),
    "an array of another": lambda tree: tree["content"]["content"]["nodes"].update(
        file=tree["content"]["content"]["values"]["file"]
    ),
    "an array that is not there": lambda tree: tree["content"]["content"]["nodes"].update(file="x.npy"),
    "the id of another": lambda tree: tree["content"]["content"]["node_count"].update(__id__=tree["__id__"]),
    "made otherwise": lambda tree: tree.update(__loader__="ObjectNode"),
    "said before": lambda tree: tree.update(__loader__="CachedNode"),
}


@pytest.mark.parametrize("change", COUNTS)
def test_a_tree_of_other_counts_than_its_arrays_is_not_made(forest, tmp_path, change):
    schema = json.loads(forest["schema.json"])
    COUNTS[change](tree_of(schema))
    path = written(tmp_path / "estimator.skops", forest | {"schema.json": json.dumps(schema).encode()})
    with pytest.raises(ValueError, match=r"^estimator\.skops: [^\n]+"):
        read_estimator(path)


def test_a_description_that_is_deep_or_none_is_refused(forest, tmp_path):
    for schema in (b"[" * 100_000 + b"]" * 100_000, b"", b"[]", b"{}", b'"x"'):
        with pytest.raises(ValueError, match=r"estimator\.skops"):
            read_estimator(written(tmp_path / "estimator.skops", forest | {"schema.json": schema}))
    without = {name: content for name, content in forest.items() if name != "schema.json"}
    with pytest.raises(ValueError, match=r"has no schema\.json"):
        read_estimator(written(tmp_path / "estimator.skops", without))


def test_an_array_that_claims_to_be_larger_is_refused(forest, tmp_path):
    name = next(name for name in forest if name.endswith(".npy"))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**11,)})
    with pytest.raises(ValueError, match="not as long as it says"):
        read_estimator(written(tmp_path / "estimator.skops", forest | {name: header.getvalue()}))
