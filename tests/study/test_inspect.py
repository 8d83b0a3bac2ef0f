"""What a checkpoint, a store and a head are, as values and as lines."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.extract import load_backbone
from tedm.heads import load_head
from tedm.store import FeatureStore
from tedm.study import describe, describe_backbone, description_lines
from tedm.study.inspect import describe_store


def test_each_is_known_by_what_lies_there(extracted: Path, fitted: Path, checkpoint: Path) -> None:
    store, head, backbone = describe(extracted), describe(fitted), describe(checkpoint)
    assert (store["store"], head["head"], backbone["checkpoint"]) == (str(extracted), str(fitted), str(checkpoint))
    assert store["images"] == FeatureStore.open(extracted).labels.summary()
    assert head["fit"]["images"] == load_head(fitted).provenance.images
    assert backbone == describe_backbone(load_backbone(checkpoint), str(checkpoint))
    for about in (store, head, backbone):
        assert json.loads(json.dumps(about)).keys() == about.keys()


def test_a_store_says_what_its_classes_are_called(extracted: Path) -> None:
    store = FeatureStore.open(extracted)
    assert "class names" not in describe_store(store)
    store.labels = replace(store.labels, class_names=("", "left lung"))
    (line,) = (each for each in description_lines(describe_store(store)) if each.startswith("class"))
    assert line.split("  ")[-1].strip() == "0, 255 (left lung)"


def test_levels_are_a_table_with_their_bytes(checkpoint: Path) -> None:
    lines = description_lines(describe(checkpoint))
    about = describe(checkpoint)
    titles = next(line for line in lines if line.startswith("index"))
    table = lines[lines.index(titles) + 1 :]
    assert len(table) == len(about["levels"]) == len(load_backbone(checkpoint).levels)
    first = about["levels"][0]
    assert table[0].split() == [str(value) for value in first.values()]
    assert first["bytes upsampled"] == first["channels"] * 16**2 * 2


def test_problems_of_a_store_come_last_and_most_are_counted(extracted: Path, tmp_path: Path) -> None:
    shutil.copytree(extracted, tmp_path / "store")
    for number in range(25):
        (tmp_path / "store" / "image" / f"stray {number}").write_text("")
    lines = description_lines(describe(tmp_path / "store"))
    assert lines[-1] == "and 5 more problems (--json lists all)"
    assert len(describe(tmp_path / "store")["problems"]) == 25
    assert sum("stray" in line for line in lines) == 20


def test_values_are_read_as_text() -> None:
    about = {"none": None, "empty": {}, "few": [1, 2], "many": list(range(14)), "fit": {"max_iter": 3}, "parts": [{"a": 1}]}
    assert description_lines(about) == [
        "none          -",
        "empty         -",
        "few           1, 2",
        "many          0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ... (14)",
        "fit max iter  3",
        "parts         a 1",
    ]


def test_what_is_nothing_of_all_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="does not exist"):
        describe(tmp_path / "nowhere")
    with pytest.raises(TedmError, match="neither a feature store nor a head"):
        describe(tmp_path)


def test_what_a_store_from_elsewhere_says_is_shown_as_it_is(extracted: Path, tmp_path: Path) -> None:
    store = shutil.copytree(extracted, tmp_path / "store")
    document = json.loads((store / "zarr.json").read_text())
    hostile = {"a\nb\x1b[1m": "x\ny", "list": [{"a": 1}, 2], "deep": {"\u202e": ["\x1b"]}, "bytes": "many", "lone": "\ud800"}
    document["attributes"]["tedm"]["provenance"] |= hostile
    (store / "zarr.json").write_text(json.dumps(document))
    lines = description_lines(describe(store))
    assert all(line.isprintable() for line in lines)
    assert any(line.startswith("a\\nb\\x1b[1m ") and line.endswith("x\\ny") for line in lines)
