"""What a DDPM learns from, what is held out, and the pictures of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract import read_manifest
from tedm.extract.images import ManifestEntry, read_squares
from tedm.extract.pretrain import Point, TrainingReport
from tedm.study import read_training_images, write_pictures
from tedm.study.pretrain import parts_of_manifest


def manifest(dataset: Path, folder: Path, splits: list[str], patients: str = "abcdefg") -> Path:
    images = sorted((dataset.parent / "images").iterdir())
    lines = [f"{image},{split},{patient}" for image, split, patient in zip(images, splits, patients, strict=True)]
    (folder / "m.csv").write_text("\n".join(["image,split,patient", *lines]) + "\n")
    return folder / "m.csv"


def squares_of(*paths: Path):
    return read_squares([ManifestEntry.of_picture(path) for path in paths], 16)


def test_tests_and_their_patients_are_left_out_and_val_is_held_out(dataset: Path, tmp_path: Path) -> None:
    path = manifest(dataset, tmp_path, ["train", "", "val", "", "test", "test", "train"], patients="abcdeeg")
    said: list[str] = []
    learned, held_out = parts_of_manifest(read_manifest(path), log=said.append)
    assert [entry.name for entry in learned] == ["scan 0", "scan 1", "scan 3", "scan 6"]
    assert [entry.name for entry in held_out] == ["scan 2"]
    assert said == ["2 images of the split test left out", "learning from 4 images, 1 held out"]


def test_a_number_that_a_split_val_makes_void_is_said(dataset: Path, tmp_path: Path) -> None:
    path = manifest(dataset, tmp_path, ["train", "", "val", "", "test", "test", "train"], patients="abcdeeg")
    said: list[str] = []
    assert len(parts_of_manifest(read_manifest(path), held_out=3, log=said.append)[1]) == 1
    assert said[1] == "note: the split val is held out (1 image), whatever --held-out 3 says; 0 holds out none"
    parts_of_manifest(read_manifest(path), log=said.append)
    assert sum("whatever" in line for line in said) == 1


def test_the_arrays_are_the_images_of_the_parts(dataset: Path, tmp_path: Path) -> None:
    path = manifest(dataset, tmp_path, ["train", "val", "train", "train", "test", "test", "test"])
    squares = read_training_images(path, 16)
    files = [entry.image for entry in read_manifest(path).entries]
    np.testing.assert_array_equal(squares.learned_from, squares_of(files[0], files[2], files[3]))
    np.testing.assert_array_equal(squares.held_out, squares_of(files[1]))
    assert read_training_images(path, 16, held_out=0).held_out is None


def test_nothing_to_learn_from_is_said(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="all 7 are of the split test"):
        parts_of_manifest(read_manifest(manifest(dataset, tmp_path, ["test"] * 7)))
    path = manifest(dataset, tmp_path, ["val"] * 7)
    with pytest.raises(TedmError, match="all 7 are of the split val and held out"):
        parts_of_manifest(read_manifest(path))
    with pytest.raises(TedmError, match="-1 images cannot be held out"):
        parts_of_manifest(read_manifest(path), held_out=-1)
    assert len(parts_of_manifest(read_manifest(path), held_out=0)[0]) == 7


def test_a_report_is_a_table_a_curve_and_samples(tmp_path: Path, rng: np.random.Generator) -> None:
    points = [Point(0, None, 0.9), Point(2, 0.8, 0.7)]
    samples = rng.random((3, 1, 16, 16), dtype=np.float32)
    write_pictures(TrainingReport(2, tuple(points), samples), tmp_path / "pictures")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["loss.csv", "loss.png", "samples-2.png"]
    assert len((tmp_path / "pictures" / "loss.csv").read_text().splitlines()) == 3
    with Image.open(tmp_path / "pictures" / "samples-2.png") as sheet:
        assert np.ptp(np.asarray(sheet.convert("L"))) > 100
