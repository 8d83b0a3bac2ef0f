"""Strokes and corrected masks as what tedm-label takes."""

from __future__ import annotations

import csv
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tedm.__main__ import main
from tedm.errors import TedmError
from tedm.store import IGNORE, FeatureStore
from tedm.study.strokes.cells import to_square_strokes
from tedm.study.strokes.corrections import save_corrections
from tedm.study.strokes.painted import Classes


def label(command: str) -> str:
    """Run the command that was said, tedm label."""
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def copy(store, tmp_path) -> FeatureStore:
    return FeatureStore.open(shutil.copytree(store.path, tmp_path / "a store"))


def test_a_session_of_ten_strokes_is_taken_by_tedm_label_and_is_what_was_learned_from(copy, classes, tmp_path):
    """Five strokes of either class, one pixel thin, on three images; the command is the one that is said."""
    rng, strokes = np.random.default_rng(3), {}
    for number in range(10):
        name = copy.labels.names[number % 3]
        height, width = copy.labels.original_sizes[copy.labels.index(name)]
        painted = strokes.setdefault(name, np.full((height, width), IGNORE, np.uint8))
        row = int(rng.integers(2, height - 2))
        painted[row, 3 : width - 3] = number % 2
    saved = save_corrections(tmp_path / "my strokes", copy, strokes, classes)
    assert saved.images == 3
    assert saved.unlabelled == 254
    others = {name: copy.mask(name) for name in copy.labels.names if name not in strokes}
    assert "3 images relabelled" in label(saved.command(copy.path))
    after = FeatureStore.open(copy.path)
    assert after.labels.class_names == ("background", "blob")
    for name, painted in strokes.items():
        assert np.array_equal(after.mask(name), to_square_strokes(painted, 16, "pad"))
    for name, mask in others.items():
        assert np.array_equal(after.mask(name), mask)


def test_whoever_forgets_the_value_without_a_label_is_told(copy, strokes, classes, tmp_path):
    saved = save_corrections(tmp_path / "strokes", copy, strokes, classes)
    result = CliRunner().invoke(main, ["label", str(copy.path), str(saved.manifest)])
    assert result.exit_code == 1
    assert "values 254 are none of the classes 0, 255" in result.output
    assert "--ignore one value" in result.output


def test_images_of_an_earlier_session_stay_in_the_manifest(copy, strokes, classes, tmp_path):
    first, second = strokes
    save_corrections(tmp_path / "s", copy, {first: strokes[first]}, classes)
    saved = save_corrections(tmp_path / "s", copy, {second: strokes[second]}, classes)
    assert saved.images == 2
    with saved.manifest.open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == [first, second]
    assert "2 images relabelled" in label(saved.command(copy.path))


def test_strokes_on_slices_become_the_label_map_of_their_volume(volume_study, tmp_path):
    store = FeatureStore.open(shutil.copytree(volume_study / "store", tmp_path / "store"))
    classes = Classes((0, 4, 9), ("none", "hippocampus", "tail"), ("#000000", "#e69f00", "#56b4e9"))
    names = [store.labels.names[at] for at in store.labels.positions_in(0)][1:3]
    strokes = {}
    for number, name in enumerate(names):
        painted = np.full(store.labels.original_sizes[store.labels.index(name)], IGNORE, np.uint8)
        painted[2, 3:7], painted[7, 1:5] = number, 2
        strokes[name] = painted
    saved = save_corrections(tmp_path / "s", store, strokes, classes)
    assert saved.images == 1
    assert "images relabelled" in label(saved.command(store.path))
    after = FeatureStore.open(store.path)
    for at in after.labels.positions_in(0):
        name = after.labels.names[at]
        expected = to_square_strokes(strokes[name], 16, "pad") if name in strokes else np.full((16, 16), IGNORE)
        assert np.array_equal(after.mask(name), expected)


def test_nothing_painted_makes_no_manifest(store, strokes, classes, tmp_path):
    name = next(iter(strokes))
    with pytest.raises(TedmError, match="there is no correction to save; paint a stroke first"):
        save_corrections(tmp_path / "s", store, {name: np.full_like(strokes[name], IGNORE)}, classes)
    assert not (tmp_path / "s").exists()


def test_corrections_with_other_classes_are_not_mixed(store, strokes, classes, tmp_path):
    save_corrections(tmp_path / "s", store, strokes, classes)
    before = {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()}
    for other, what in (
        (Classes((0, 255), ("background", "lung"), ("#000000",) * 2), "a class called blob"),
        (Classes((0, 1), ("background", "lung"), ("#000000",) * 2), "a class of value 255"),
    ):
        with pytest.raises(TedmError, match=f"{what}, and these strokes have none; choose another folder"):
            save_corrections(tmp_path / "s", store, strokes, other)
    assert before == {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()}


@pytest.mark.parametrize("content", ["image,mask\na,b\n", "\x00", "image,name,mask\na,b\n", "image,name,mask\na,b,..\n"])
def test_a_manifest_of_something_else_is_not_overwritten(content, store, strokes, classes, tmp_path):
    (tmp_path / "manifest.csv").write_text(content)
    with pytest.raises(TedmError, match="the strokes are safe where they are|write the image under another name"):
        save_corrections(tmp_path, store, strokes, classes)
    assert (tmp_path / "manifest.csv").read_text() == content


def test_a_picture_in_no_store_is_named_by_its_file(store, strokes, classes, tmp_path):
    name = next(iter(strokes))
    saved = save_corrections(tmp_path / "s", store, {name: strokes[name]}, classes, files={name: Path("/images/a.png")})
    assert saved.manifest.read_text().splitlines()[1] == f"/images/a.png,{name},masks/{name}.png"
