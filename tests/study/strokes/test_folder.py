"""Strokes that are kept and come back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.store import IGNORE, FeatureStore
from tedm.study.strokes.folder import folder_beside, folder_elsewhere, folder_for, merge, read_strokes, save_strokes
from tedm.study.strokes.learn import fit_strokes
from tedm.study.strokes.painted import Classes


def sizes(strokes):
    return {name: painted.shape for name, painted in strokes.items()}


def test_strokes_come_back_as_they_were(strokes, classes, tmp_path):
    save_strokes(tmp_path / "a folder", strokes, classes)
    for name, painted in strokes.items():
        again, known = read_strokes(tmp_path / "a folder", name, painted.shape, classes)
        assert np.array_equal(again, painted)
        assert known == classes
    assert read_strokes(tmp_path / "a folder", "another", (5, 5), classes) is None


def test_people_see_the_strokes_in_the_colours_of_the_classes(strokes, classes, tmp_path):
    save_strokes(tmp_path, strokes, classes)
    (name, painted), *_ = strokes.items()
    with Image.open(tmp_path / "strokes" / f"{name}.png") as picture:
        assert picture.mode == "P"
        seen = np.asarray(picture.convert("RGB"))
    assert (seen[painted == 1] == (0xE6, 0x9F, 0)).all()


def test_strokes_are_read_by_the_values_of_their_classes_whatever_is_painted_with_now(strokes, classes, tmp_path):
    """Another head has another order of classes, and lacks one."""
    save_strokes(tmp_path, strokes, classes)
    (name, painted), *_ = strokes.items()
    again, known = read_strokes(tmp_path, name, painted.shape, Classes((7, 255), ("vessel", "lung"), ("#111111", "#222222")))
    assert known == Classes((7, 255, 0), ("vessel", "lung", "background"), ("#111111", "#222222", "#000000"))
    assert np.array_equal(
        np.array([*known.values], np.uint8)[again[again != IGNORE]], np.array([0, 255])[painted[painted != IGNORE]]
    )


def test_a_name_that_is_taken_by_another_value_gets_its_own_behind_it(classes):
    merged = merge(classes, Classes((1,), ("blob",), ("#ffffff",)))
    assert merged.names == ("background", "blob", "blob (1)")


def test_an_image_that_is_erased_loses_its_picture_and_the_others_keep_theirs(strokes, classes, tmp_path):
    save_strokes(tmp_path, strokes, classes)
    first, second = strokes
    save_strokes(tmp_path, {first: np.full_like(strokes[first], IGNORE)}, classes)
    assert read_strokes(tmp_path, first, strokes[first].shape, classes) is None
    assert read_strokes(tmp_path, second, strokes[second].shape, classes) is not None


def test_strokes_of_200_classes_come_back(tmp_path):
    many = Classes(tuple(range(1000, 1200)), tuple(f"class {k}" for k in range(200)), ("#010203",) * 200)
    painted = np.arange(256, dtype=np.uint8).reshape(16, 16)
    painted[painted >= 200] = IGNORE
    save_strokes(tmp_path, {"a": painted}, many)
    again, known = read_strokes(tmp_path, "a", (16, 16), many)
    assert np.array_equal(again, painted)
    assert known == many


@pytest.mark.parametrize("damage", ["cut", "text", "foreign", "other size", "other numbers", "other words", "a folder"])
def test_strokes_that_cannot_be_read_are_said_and_stay_where_they_are(damage, strokes, classes, tmp_path):
    (name, painted), *_ = strokes.items()
    save_strokes(tmp_path, strokes, classes)
    path, size = tmp_path / "strokes" / f"{name}.png", painted.shape
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "text":
        path.write_text("no picture")
    elif damage == "foreign":
        Image.fromarray(painted).save(path)
    elif damage == "other size":
        size = (3, 4)
    elif damage == "other numbers":
        save_strokes(tmp_path, {name: np.full_like(painted, 7)}, classes)
    elif damage == "other words":
        path.write_bytes(whole.replace(b"background", b"\xff\xfe\x00background"))
    else:
        path.unlink()
        path.mkdir()
    before = None if path.is_dir() else path.read_bytes()
    with pytest.raises(TedmError, match="move it elsewhere to begin anew, or choose another folder for the strokes") as caught:
        read_strokes(tmp_path, name, size, classes)
    assert str(path) in str(caught.value)
    assert path.is_dir() or path.read_bytes() == before


def test_a_name_that_leads_elsewhere_is_refused(strokes, classes, tmp_path):
    with pytest.raises(TedmError, match="cannot be a file's name"):
        save_strokes(tmp_path, {"../a": next(iter(strokes.values()))}, classes)


def test_strokes_lie_beside_what_they_are_on(tmp_path):
    (tmp_path / "features").mkdir()
    assert folder_for(tmp_path / "features") == (tmp_path / "features-strokes", "")
    assert folder_beside(tmp_path / "a.png") == tmp_path / "a-strokes"
    assert folder_beside(tmp_path / "brain.nii.gz") == tmp_path / "brain-strokes"
    assert folder_for(tmp_path / "a.png", tmp_path / "mine") == (tmp_path / "mine", "")
    assert list(tmp_path.iterdir()) == [tmp_path / "features"]  # nothing is made before there is a stroke


def test_strokes_on_a_bucket_lie_in_the_users_own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder, said = folder_for("s3://bucket/features")
    assert folder.parent == tmp_path / "tedm-strokes"
    assert said == f"s3://bucket/features is in a bucket; strokes are kept in {folder}"
    assert folder != folder_elsewhere("s3://other/features")


def test_a_folder_that_nothing_can_be_written_to_is_refused_where_it_was_chosen(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TedmError, match="cannot write strokes to .*; choose another folder for the strokes"):
        folder_for(tmp_path / "a.png", tmp_path / "file" / "mine")


def test_a_store_on_a_read_only_disk_is_learned_from_and_its_strokes_go_elsewhere(
    store, strokes, classes, tmp_path, monkeypatch
):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "--bind", str(Path(store.path).parent), str(disk)], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        place = disk / "store"
        folder, said = folder_for(place)
        assert folder.parent == tmp_path / "home" / "tedm-strokes"
        assert said == f"nothing can be written beside {place}; strokes are kept in {folder}"
        save_strokes(folder, strokes, classes)
        assert fit_strokes(FeatureStore.open(place), strokes, classes).classes == (0, 255)
        name = next(iter(strokes))
        assert np.array_equal(read_strokes(folder, name, strokes[name].shape, classes)[0], strokes[name])
        with pytest.raises(TedmError, match="choose another folder for the strokes"):
            save_strokes(folder_beside(place), strokes, classes)
    finally:
        subprocess.run(["umount", str(disk)], check=False)
