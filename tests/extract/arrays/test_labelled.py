"""Arrays with masks as images of a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract import labelled_pictures, settings_of, store_of
from tedm.extract.backbones import random_backbone
from tedm.store import IGNORE


def test_masks_are_class_indices_and_unlabelled_pixels_ignored() -> None:
    images = [np.arange(12, dtype=np.uint8).reshape(3, 4) * 20] * 2
    made = labelled_pictures(images, [np.array([[0, 5, 9, 5]] * 3), None], ignore=9, names=["a", "b"])
    assert made.classes == (0, 5)
    assert made.pictures[0].mask is not None
    np.testing.assert_array_equal(made.pictures[0].mask, [[0, 1, IGNORE, 1]] * 3)
    assert made.pictures[1].mask is None
    assert [(each.picture.name, each.split, each.group) for each in made.pictures] == [("a", "train", "a"), ("b", "train", "b")]


def test_a_store_of_arrays_is_whole(tmp_path: Path) -> None:
    images = [np.arange(300, dtype=np.uint16).reshape(15, 20) * 200 + number for number in range(2)]
    made = labelled_pictures(images, [image > 30000 for image in images], splits=["train", "val"], groups=["p", "q"])
    store = store_of(tmp_path / "store", made, random_backbone(), timesteps=(1,), device="cpu")
    assert store.missing() == []
    assert (store.labels.splits, store.labels.groups) == (("train", "val"), ("p", "q"))
    assert store.labels.original_sizes == ((15, 20),) * 2


def test_the_settings_of_a_backbone_are_those_of_its_store(tmp_path: Path) -> None:
    image, backbone = np.eye(9, dtype=np.uint8) * 99, random_backbone()
    made = labelled_pictures([image], [image > 0])
    assert store_of(tmp_path / "store", made, backbone, timesteps=(1,), device="cpu").settings == settings_of(
        backbone, timesteps=[1]
    )
    with pytest.raises(TedmError, match="1000"):
        settings_of(backbone, timesteps=[1000])
