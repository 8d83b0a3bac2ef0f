"""Files of a store's images: drawn as they are while they are what was read, and never in place of something else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tedm.extract import read_manifest
from tedm.store import FeatureStore, Registration
from tedm.study import originals as module
from tedm.study.originals import Originals, eight_bits


@pytest.fixture
def files(dataset: Path, tmp_path: Path) -> Path:
    """A copy of the images, which may be changed."""
    shutil.copytree(dataset.parent, tmp_path / "files")
    return tmp_path / "files" / dataset.name


def certain(store: FeatureStore, name: str) -> np.ndarray:
    """What a head would say that knows the truth: shape (size, size, classes)."""
    return np.eye(len(store.labels.classes))[np.minimum(store.mask(name), 1)]


def test_an_image_is_shown_with_the_pixels_of_its_file(extracted: Path, files: Path) -> None:
    store = FeatureStore.open(extracted)
    originals = Originals(read_manifest(files), store)
    with Image.open(files.parent / "images" / "scan 0.png") as image, Image.open(files.parent / "masks" / "scan 0.png") as mask:
        pixels, truth = np.asarray(image), np.asarray(mask)
    assert pixels.shape != (store.settings.image_size,) * 2
    rows = originals.rows("scan 0")
    assert rows is not None
    np.testing.assert_array_equal(eight_bits(rows), pixels)
    shown = originals.shown("scan 0", {"knows": certain(store, "scan 0")})
    assert shown is not None
    np.testing.assert_array_equal(shown.picture, pixels)
    np.testing.assert_array_equal(shown.truth, (truth > 0).astype(np.uint8))
    assert shown.masks["knows"].shape == truth.shape
    assert (shown.masks["knows"] == shown.truth).mean() > 0.9


def test_large_images_are_shrunk_to_what_a_page_holds(extracted: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 10)
    store = FeatureStore.open(extracted)
    shown = Originals(read_manifest(files), store).shown("scan 0", {"knows": certain(store, "scan 0")})
    assert shown is not None
    assert max(shown.picture.shape) == 10
    assert shown.picture.shape == shown.truth.shape == shown.masks["knows"].shape


def test_a_file_that_is_another_picture_by_now_is_not_shown(extracted: Path, files: Path) -> None:
    path = files.parent / "images" / "scan 0.png"
    with Image.open(path) as image:
        other = np.asarray(image)[::-1].copy()
    Image.fromarray(other).save(path)
    originals = Originals(read_manifest(files), FeatureStore.open(extracted))
    assert originals.rows("scan 0") is None
    assert originals.rows("scan 1") is not None
    assert originals.rows("nobody") is None


def test_a_truth_that_is_not_the_one_that_was_scored_is_not_shown(extracted: Path, files: Path, tmp_path: Path) -> None:
    shutil.copytree(extracted, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    certainly = certain(store, "scan 0")
    corrected = Registration("scan 0", "", "", "", (0, 0), np.ones_like(store.mask("scan 0")))
    store.relabel([corrected], store.labels.classes)
    originals = Originals(read_manifest(files), store)
    assert originals.rows("scan 0") is not None
    assert originals.shown("scan 0", {"knows": certainly}) is None
