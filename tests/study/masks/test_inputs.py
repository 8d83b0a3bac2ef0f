"""Images are the same where their files are as they were, or hold what they held."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract import load_backbone
from tedm.heads import load_head
from tedm.store import FeatureStore
from tedm.study.masks.inputs import Inputs, digest_of
from tedm.study.predict import live_features


def test_files_are_told_apart_by_their_bytes_and_not_by_their_times(fitted, dataset, checkpoint, tmp_path: Path):
    images = tmp_path / "images"
    shutil.copytree(dataset.parent / "images", images)
    head, backbone = load_head(fitted), load_backbone(checkpoint)

    def digests() -> tuple[str, str]:
        features = live_features(head, images, backbone, device="cpu")
        inputs = Inputs(features, features.labels.names, {}, features.files_of)
        return inputs.listed(), inputs.content()

    listed, content = digests()
    assert (listed, content) == digests()
    file = sorted(images.iterdir())[0]
    os.utime(file, ns=(5, 5))
    listed_later, content_later = digests()
    assert listed_later != listed
    assert content_later == content
    with Image.open(file) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file)
    assert digests()[1] != content
    features = live_features(head, images, backbone, device="cpu")
    file.unlink()
    with pytest.raises(TedmError, match=f"cannot read .*{file.name}: No such file"):
        Inputs(features, features.labels.names, {}, features.files_of).content()


def test_a_store_s_images_are_its_pictures(extracted):
    store = FeatureStore.open(extracted)
    first, second = store.labels.names[:2]
    of_first, of_second = (Inputs(store, [name], store.sources(), None) for name in (first, second))
    again = Inputs(FeatureStore.open(extracted), [first], store.sources(), None)
    assert (of_first.listed(), of_first.content()) == (again.listed(), again.content())
    assert of_first.listed() != of_second.listed()
    assert of_first.content() != of_second.content()


def test_digests_tell_values_apart_and_not_the_order_of_keys():
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1}) != digest_of({"a": 1, "b": [3]})
