"""What a run has to do, and what is refused before it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract import labels_of
from tedm.study.whole.plan import Places, read_images, rest_of


def changed(dataset: Path, tmp_path: Path, **columns: list[str]) -> Path:
    """A manifest of the same images with other columns."""
    rows = list(csv.DictReader(dataset.read_text().splitlines()))
    for row in rows:
        row["image"], row["mask"] = str(dataset.parent / row["image"]), str(dataset.parent / row["mask"])
    for column, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[column] = value if column != "mask" or not value else row[column]
    path = tmp_path / "manifest.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_rest_are_images_without_a_mask_and_those_to_test_on(dataset, tmp_path):
    manifest = changed(
        dataset, tmp_path, mask=["x", "x", "", "x", "x", "", "x"], split=["train", "train", "", "val", *["test"] * 3]
    )
    labels = labels_of(read_images(manifest, Places(tmp_path / "out")))
    assert rest_of(labels) == ["scan 2", "scan 4", "scan 5", "scan 6"]
    assert not (tmp_path / "out").exists()


def test_images_of_so_many_patients_are_learned_from_whatever_their_split(dataset, tmp_path):
    manifest = changed(dataset, tmp_path, split=["test"] * 7, patient=["a", "a", "b", "b", "c", "c", "d"])
    for train, images in ((1, (1, 2)), (2, (3, 4))):
        labels = labels_of(read_images(manifest, Places(tmp_path / "out"), train=train))
        learned = {group for group, split in zip(labels.groups, labels.splits, strict=True) if split == "train"}
        assert len(learned) == train
        assert labels.splits.count("train") in images
        assert set(labels.splits) == {"train", "test"}
        tested = {group for group, split in zip(labels.groups, labels.splits, strict=True) if split == "test"}
        assert not learned & tested


@pytest.mark.parametrize(
    ("columns", "train", "said"),
    [
        (
            {"split": ["test"] * 7},
            None,
            "no labelled image in {} is of the split train, so there is nothing to learn from: 7 labelled images are",
        ),
        ({"mask": [""] * 7}, None, "no image in {} has a mask, so there is nothing to learn from; name masks"),
        ({"mask": [""] * 7}, 2, "--train 2: no image has a mask in {}, so there is nothing to learn from"),
        ({}, 8, "--train 8: of the patients in {}, there are 7 with labelled images; give 1 to 7"),
    ],
)
def test_images_that_nothing_can_be_learned_from_are_refused(dataset, tmp_path, columns, train, said):
    manifest = changed(dataset, tmp_path, **columns)
    with pytest.raises(TedmError) as refused:
        read_images(manifest, Places(tmp_path / "out"), train=train)
    assert str(refused.value).startswith(said.format(manifest))
    assert not (tmp_path / "out").exists()


def test_masks_of_one_class_and_places_the_wrong_way_round_are_refused_before_any_work(dataset, tmp_path, write_images):
    images = write_images(tmp_path / "flat", train=2, test=1)
    for mask in (images.parent / "masks").iterdir():
        Image.fromarray(np.zeros_like(np.asarray(Image.open(mask)))).save(mask)
    with pytest.raises(TedmError, match=r"are of one class \(mask value 0\); a head needs two at least"):
        read_images(images, Places(tmp_path / "out"))
    swapped = tmp_path / "new", Places(dataset.parent)
    with pytest.raises(TedmError, match=r"new does not exist; if .* has the images, they come first"):
        read_images(*swapped)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_refused(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    (tmp_path / "drawn" / "masks").mkdir(parents=True)
    for place, said in (("file", "is a file"), ("mine", "something else in it (thesis.tex)"), ("drawn", "no run.json")):
        with pytest.raises(TedmError, match=r".*".join([place, said.replace("(", r"\(").replace(")", r"\)")])):
            read_images(dataset, Places(tmp_path / place))


def test_a_folder_of_other_images_or_other_training_images_is_refused(dataset, extracted, tmp_path, write_images):
    places = Places(tmp_path / "out")
    places.out.mkdir()
    places.features.symlink_to(extracted)
    assert read_images(dataset, places).entries
    with pytest.raises(
        TedmError, match=r"out is of other images: 2 images in it are not in .* \(scan 5, scan 6\); name another"
    ):
        read_images(write_images(tmp_path / "other", train=3, test=2), places)
    with pytest.raises(
        TedmError,
        match=r"out learns from other images than are asked for now \(scan \d, .*differ\); tedm-label .*out/features ",
    ):
        read_images(dataset, places, train=1)
