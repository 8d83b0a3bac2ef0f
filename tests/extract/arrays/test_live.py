"""Features of arrays are those of files of the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tedm.extract import LiveArrays, LiveFeatures, load_backbone, pictures_of, read_manifest
from tedm.store import FeatureStore


def test_features_of_arrays_are_those_of_files(extracted: Path, dataset: Path, checkpoint: Path) -> None:
    store, backbone = FeatureStore.open(extracted), load_backbone(checkpoint)
    of = (backbone, store.settings, store.arithmetic, store.storage)
    files = LiveFeatures(read_manifest(dataset), *of)
    names = files.labels.names[:2]
    pictures = []
    for name in names:
        with Image.open(dataset.parent / "images" / f"{name}.png") as image:
            pictures += pictures_of(np.asarray(image), name)
    arrays = LiveArrays(pictures, *of)
    assert arrays.labels.names == names
    assert arrays.labels.original_sizes == files.labels.original_sizes[:2]
    for mine, theirs in zip(arrays.blocks(names), files.blocks(names), strict=True):
        assert mine.name == theirs.name
        for one, other in zip(mine.cells, theirs.cells, strict=True):
            np.testing.assert_array_equal(one, other)
