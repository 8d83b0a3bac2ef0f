"""The demo's slices: where they lie, what is in them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.images import Manifest, read_image, read_manifest
from tedm.study.demo.slices import PRETRAINING, TEST, TRAINING, write_pretraining_slices, write_template_slices

pytest.importorskip("nilearn", reason="nilearn, of the extra tedm[demo], is not installed")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return read_manifest(write_template_slices(tmp_path_factory.mktemp("slices")))


def test_there_are_slices_of_four_domains(manifest: Manifest) -> None:
    counts = {("train", "axial"): 6, **{("test", d): 10 for d in ("axial", "coronal", "sagittal", "contrast+noise")}}
    found = [(entry.split, entry.domain) for entry in manifest.entries]
    assert {key: found.count(key) for key in found} == counts
    assert {entry.size for entry in manifest.entries} == {(64, 64)}
    assert manifest.classes == (0, 1, 2)


def test_no_test_slice_is_within_three_millimetres_of_a_training_slice() -> None:
    assert min(abs(test - training) for test in TEST["axial"] for training in TRAINING) > 3


def test_no_test_slice_is_pretrained_on() -> None:
    assert not set(PRETRAINING) & set(TEST["axial"])
    assert set(PRETRAINING) > set(TRAINING)


def test_white_matter_is_brighter_than_grey_and_both_are_in_every_slice(manifest: Manifest) -> None:
    for entry in manifest.entries:
        image, mask = read_image(entry.image, channels=1, intensity_range=None)[..., 0], manifest.read_mask(entry)
        shares = np.bincount(mask.ravel(), minlength=3) / mask.size
        assert (shares > 0.03).all(), entry.name
        background, grey, white = (image[mask == value].mean() for value in range(3))
        assert white > grey + 0.05 > background, entry.name


def test_changed_contrast_and_noise_keep_the_mask(manifest: Manifest) -> None:
    entries = {entry.name: entry for entry in manifest.entries}
    for position in TEST["axial"]:
        clean, noisy = entries[f"axial-{position:03d}"], entries[f"axial-{position:03d}-noise"]
        assert clean.group == noisy.group
        np.testing.assert_array_equal(manifest.read_mask(clean), manifest.read_mask(noisy))
        images = [read_image(entry.image, channels=1, intensity_range=None) for entry in (clean, noisy)]
        assert np.abs(images[0] - images[1]).mean() > 0.03
        assert images[1][images[0] == 0].std() > 0.02  # noise outside of the head too


def test_front_is_up_and_planes_are_what_they_are_called(manifest: Manifest) -> None:
    entries = {entry.name: entry for entry in manifest.entries}

    def brain(name: str) -> tuple[int, int]:
        image = read_image(entries[name].image, channels=1, intensity_range=None)[..., 0] > 0
        return int(image.any(axis=1).sum()), int(image.any(axis=0).sum())

    height, width = brain("axial-077")
    assert height > width  # a brain is longer than wide
    height, width = brain("sagittal-092")
    assert width > height  # and longer than high
    cerebellum = read_image(entries["sagittal-092"].image, channels=1, intensity_range=None)[48:, :, 0]
    assert cerebellum[:, :32].sum() > 2 * cerebellum[:, 32:].sum()  # at the bottom and at the back


def test_two_calls_write_the_same_bytes(manifest: Manifest, tmp_path: Path) -> None:
    again = write_template_slices(tmp_path)
    first = manifest.entries[0].image.parents[1]
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert len(files) == 2 * len(manifest.entries) + 1
    assert again.name == "manifest.csv"
    for file in files:
        assert (tmp_path / file).read_bytes() == (first / file).read_bytes()


def test_pretraining_has_all_axial_slices_but_those_of_the_test(manifest: Manifest, tmp_path: Path) -> None:
    unlabelled = read_manifest(write_pretraining_slices(tmp_path / "unlabelled"))
    assert [entry.name for entry in unlabelled.entries] == [f"axial-{position:03d}" for position in PRETRAINING]
    training = next(entry for entry in manifest.entries if entry.split == "train")
    same = next(entry for entry in unlabelled.entries if entry.name == training.name)
    assert same.image.read_bytes() == training.image.read_bytes()


def test_without_nilearn_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nilearn.datasets", None)
    with pytest.raises(TedmError, match=r"pip install 'tedm\[demo\]'"):
        write_template_slices(tmp_path)
