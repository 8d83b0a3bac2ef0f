"""Strokes that are kept, learned from and saved; without napari and Qt."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import numpy as np
import pytest
from napari_tedm.gallery import open_gallery
from napari_tedm.painting import Painting
from painted import run

from tedm.errors import TedmError
from tedm.store import FeatureStore


def stroked(painting: Painting, title: str) -> np.ndarray:
    """The numbers of a picture with a stroke of each of two classes."""
    numbers = painting.choose(title)
    numbers[..., 14:18, 8:16] = 2
    numbers[..., 2, 2:30] = numbers[..., -3, 2:30] = 1
    return numbers


def test_strokes_are_learned_from_and_the_mask_has_the_numbers_of_the_classes(store):
    painting = Painting(open_gallery(store))
    numbers = stroked(painting, "scan 1")
    head = painting.learn(painting.begin(numbers), device="cpu")
    ((number, seen),) = painting.looks()
    mask = painting.numbers_of(head, seen.mask)
    assert number == 0
    assert mask.shape == seen.uncertainty.shape == numbers.shape == (44, 36)
    assert set(np.unique(mask)) <= {1, 2}
    assert (mask[numbers > 0] == numbers[numbers > 0]).mean() > 0.8


def test_a_session_of_ten_strokes_on_two_images_leaves_a_manifest_that_tedm_label_takes(store):
    painting = Painting(open_gallery(store))
    for title in ("scan 2", "scan 3"):
        numbers = painting.choose(title)
        for stroke in range(5):
            numbers[3 + 6 * stroke, 4:20] = 1 + stroke % 2
            painting.begin(numbers)
    saved = painting.save(numbers)
    said = run(*shlex.split(saved.command(store))[1:])
    assert "2 images relabelled" in said
    assert FeatureStore.open(store).labels.labelled[2] > 0


def test_a_corrected_mask_is_the_mask_with_the_strokes_over_it(store, tmp_path):
    painting = Painting(open_gallery(store))
    numbers = painting.choose("scan 3")
    numbers[0:9] = 2
    mask = np.ones_like(numbers)
    saved = painting.save(numbers, mask, tmp_path / "corrected")
    run(*shlex.split(saved.command(store))[1:])
    labels = FeatureStore.open(store)
    assert labels.labels.labelled[3] > 0
    kept = labels.mask("scan 3")
    assert set(np.unique(kept[kept != 255])) == {0, 1}


def test_strokes_come_back_at_the_next_opening_with_the_classes_that_were_added(store):
    painting = Painting(open_gallery(store))
    number = painting.add_class("vessel")
    numbers = painting.choose("scan 0")
    numbers[5, 5:9] = number
    painting.keep(numbers)
    again = Painting(open_gallery(store))
    assert again.classes.names == ("class 0", "class 255", "vessel")
    assert again.classes.values == (0, 255, 1)
    assert np.array_equal(again.choose("scan 0"), numbers)
    assert again.remarks == [f"strokes on 1 of 4 images came back from {store.parent / 'features-strokes'}"]


def test_erased_strokes_stay_erased(store):
    painting = Painting(open_gallery(store))
    painting.keep(stroked(painting, "scan 0"))
    painting.keep(np.zeros_like(painting.choose("scan 0")))
    assert not Painting(open_gallery(store)).choose("scan 0").any()


def test_strokes_on_other_images_are_learned_from_too(store):
    painting = Painting(open_gallery(store))
    painting.keep(stroked(painting, "scan 0"))
    head = painting.learn(painting.begin(stroked(painting, "scan 3")), device="cpu")
    assert sorted(head.provenance.images) == ["scan 0", "scan 3"]


def test_a_volume_is_painted_on_by_the_slice_and_its_nearest_slices_are_seen_first(work, tmp_path):
    painting = Painting(open_gallery(work / "scan.nii.gz", checkpoint=work / "tiny.safetensors"), tmp_path / "mine")
    numbers = painting.choose("scan")
    numbers[3, 4:6, 3:9] = 2
    numbers[3, 12, 2:16] = 1
    painting.learn(painting.begin(numbers), device="cpu")
    assert [number for number, _ in painting.looks(3)] == [3, 2, 4, 1, 5, 0]
    saved = painting.save(numbers)
    assert (tmp_path / "mine" / "masks" / "scan.nii.gz").is_file()
    run("extract", saved.manifest, tmp_path / "store", "--checkpoint", work / "tiny.safetensors", "--ignore", saved.unlabelled,
        "--normalise", "quantile", "--timesteps", "1", "--device", "cpu")  # fmt: skip
    kept = FeatureStore.open(tmp_path / "store")
    assert [kept.labels.names[at] for at, pixels in enumerate(kept.labels.labelled) if pixels] == [painting.scene.names[3]]


def test_the_head_that_was_opened_is_seen_before_there_is_a_stroke(work, store):
    painting = Painting(open_gallery(store, head=work / "head"))
    painting.choose("scan 3")
    assert len(list(painting.looks())) == 1


def test_without_a_head_there_is_nothing_to_see(store):
    painting = Painting(open_gallery(store))
    painting.choose("scan 3")
    with pytest.raises(TedmError, match="there is no head yet; paint a stroke of each of two classes, and fit one"):
        list(painting.looks())


def test_strokes_of_one_class_are_kept_before_they_are_refused(store):
    painting = Painting(open_gallery(store))
    numbers = painting.choose("scan 0")
    numbers[4:9] = 2
    asked = painting.begin(numbers)
    with pytest.raises(TedmError, match=r"all strokes are of one class, class 255; paint a stroke of another one too"):
        painting.learn(asked)
    assert np.array_equal(Painting(open_gallery(store)).choose("scan 0"), numbers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda numbers: numbers[:5], "strokes are of shape"),
        (lambda numbers: np.where(numbers == 2, 9, numbers), "there are strokes of label 9, and 2 classes"),
        (lambda numbers: numbers.astype(np.int16) - 1, "strokes of label"),
    ],
)
def test_numbers_that_are_no_strokes_are_refused(change, message, store):
    painting = Painting(open_gallery(store))
    with pytest.raises(TedmError, match=message):
        painting.begin(change(stroked(painting, "scan 0")))


@pytest.mark.parametrize("name", ["", "  ", "class 255", "a\nb", "x" * 201])
def test_a_class_that_cannot_be_called_so_is_refused_and_none_is_added(name, store):
    painting = Painting(open_gallery(store))
    before = painting.classes
    with pytest.raises(TedmError, match="a class is called by|is that of class 255 too"):
        painting.add_class(name)
    assert painting.classes == before


def test_a_disk_that_fills_up_keeps_the_strokes_that_were_there(store, tmp_path):
    """The folder becomes a file, and nothing can be written to it."""
    painting = Painting(open_gallery(store), tmp_path / "mine")
    numbers = stroked(painting, "scan 0")
    painting.keep(numbers)
    shutil.move(tmp_path / "mine" / "strokes", tmp_path / "away")
    (tmp_path / "mine" / "strokes").write_text("")
    with pytest.raises(TedmError, match="choose another folder for the strokes"):
        painting.begin(numbers)
    assert (tmp_path / "away" / "scan 0.png").is_file()


def test_where_nothing_more_can_be_written_strokes_move_to_the_folder_that_is_chosen_then(store, tmp_path):
    painting = Painting(open_gallery(store), tmp_path / "full")
    numbers = stroked(painting, "scan 0")
    painting.keep(numbers)
    shutil.rmtree(tmp_path / "full")
    (tmp_path / "full").write_text("")
    numbers[30] = 1
    with pytest.raises(TedmError, match="choose another folder for the strokes"):
        painting.keep(numbers)
    painting.move(tmp_path / "roomy")
    painting.keep(numbers)
    np.testing.assert_array_equal(Painting(open_gallery(store), tmp_path / "roomy").choose("scan 0"), numbers)


def test_strokes_beside_a_store_go_home_where_its_disk_has_become_full(store, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    painting = Painting(open_gallery(store))
    painting.keep(stroked(painting, "scan 0"))
    shutil.rmtree(painting.folder)
    painting.folder.write_text("")
    numbers = stroked(painting, "scan 1")
    painting.keep(numbers)
    assert painting.folder.is_relative_to(tmp_path / "home")
    assert sorted(path.stem for path in (painting.folder / "strokes").glob("*.png")) == ["scan 0", "scan 1"]


def test_strokes_of_no_class_are_said_after_the_others_are_written(store):
    painting = Painting(open_gallery(store))
    numbers = stroked(painting, "scan 0")
    wrong = numbers.copy()
    wrong[30:32] = 9
    with pytest.raises(TedmError, match="there are strokes of label 9, and 2 classes"):
        painting.begin(wrong)
    np.testing.assert_array_equal(Painting(open_gallery(store)).choose("scan 0"), np.where(wrong == 9, 0, wrong))


def test_nothing_to_save_is_said(store):
    painting = Painting(open_gallery(store))
    with pytest.raises(TedmError, match="there is no correction to save; paint a stroke first"):
        painting.save(painting.choose("scan 0"))


def test_a_store_on_a_read_only_disk_is_painted_on_and_strokes_that_lay_beside_it_come_back(store, tmp_path, monkeypatch):
    writable = Painting(open_gallery(store))
    before = stroked(writable, "scan 0")
    writable.keep(before)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "--bind", str(store.parent), str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        painting = Painting(open_gallery(disk / "features"))
        assert painting.remarks[0].startswith(f"nothing can be written beside {disk / 'features'}; strokes are kept in")
        assert np.array_equal(painting.choose("scan 0"), before)
        numbers = stroked(painting, "scan 3")
        painting.learn(painting.begin(numbers), device="cpu")
        again = Painting(open_gallery(disk / "features"))
        assert np.array_equal(again.choose("scan 3"), numbers)
        assert np.array_equal(again.choose("scan 0"), before)
        assert painting.save(numbers).manifest.is_relative_to(tmp_path / "home")
    finally:
        subprocess.run(["umount", str(disk)], check=False)
