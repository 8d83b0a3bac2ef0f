"""A head from arrays is the head from files of the same numbers, and no file is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.ensemble import RandomForestClassifier

import tedm
from tedm.errors import TedmError
from tedm.extract import extract, load_backbone, read_manifest
from tedm.extract.backbones import Backbone
from tedm.heads import fit, method_named

QUICK: dict[str, Any] = {"method": method_named("tedm", timesteps=(1, 50)), "iterations": 15, "device": "cpu"}


@pytest.fixture(scope="module")
def backbone(checkpoint: Path) -> Backbone:
    return load_backbone(checkpoint)


@pytest.fixture(scope="module")
def arrays(dataset: Path) -> dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Image and mask of the four training images, by their names."""
    both = {}
    for name in (f"scan {number}" for number in range(4)):
        with (
            Image.open(dataset.parent / "images" / f"{name}.png") as image,
            Image.open(dataset.parent / "masks" / f"{name}.png") as mask,
        ):
            both[name] = np.asarray(image), np.asarray(mask)
    return both


def test_the_head_is_that_of_extraction_and_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Path, backbone: Backbone, arrays: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = extract(read_manifest(dataset), tmp_path / "store", backbone, timesteps=(1, 50), device="cpu").store
    theirs = fit(store, QUICK["method"], iterations=15)
    (tmp_path / "scratch").mkdir()
    before = sorted(tmp_path.iterdir())
    images, masks = zip(*arrays.values(), strict=True)
    patients = [f"p{number}" for number in range(4)]
    mine = tedm.fit_images(images, masks, backbone, names=list(arrays), groups=patients, scratch=tmp_path / "scratch", **QUICK)
    assert sorted(tmp_path.iterdir()) == before
    assert list((tmp_path / "scratch").iterdir()) == []
    assert mine.settings == theirs.settings
    assert mine.arithmetic == theirs.arithmetic
    assert mine.classes == theirs.classes == (0, 255)
    assert [each.digest for each in mine.provenance.learned_from] == [each.digest for each in theirs.provenance.learned_from]
    one, other = (tedm.segment(images[0], head, backbone, device="cpu") for head in (mine, theirs))
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_a_classifier_of_scikit_learn_is_a_head_of_arrays_too(backbone: Backbone, arrays: dict[str, Any]) -> None:
    images, masks = zip(*arrays.values(), strict=True)
    head = tedm.fit_images(images, masks, backbone, head=RandomForestClassifier(3, random_state=0), device="cpu")
    assert head.method.name == "tedm-RandomForestClassifier"
    assert tedm.segment(images[0], head, backbone, device="cpu").mask.shape == images[0].shape[:2]
    with pytest.raises(TedmError, match="neither the name of a head nor an estimator"):
        tedm.fit_images(images, masks, backbone, head=object(), device="cpu")


def test_slices_of_volumes_are_learned_from_and_of_one_group(backbone: Backbone) -> None:
    rng = np.random.default_rng(4)
    masks = [(rng.random((12, 3, 14)) < 0.4).astype(int) for _ in range(2)]
    images = [(90 * mask + rng.normal(60, 5, mask.shape)).astype(np.uint8) for mask in masks]
    head = tedm.fit_images(images, masks, backbone, axis=1, names=["a", "b"], ignore=7, **QUICK)
    learned = {(each.name, each.group) for each in head.provenance.learned_from}
    assert learned == {(f"{name}_{at:03d}", name) for name in "ab" for at in range(3)}
    assert tedm.segment(images[0], head, backbone, axis=1, device="cpu").mask.shape == (12, 3, 14)


def test_val_images_are_for_what_is_chosen(backbone: Backbone, arrays: dict[str, Any]) -> None:
    images, masks = zip(*arrays.values(), strict=True)
    splits = ["train", "train", "val", "test"]
    head = tedm.fit_images(images, [*masks[:3], None], backbone, splits=splits, calibrate=True, **QUICK)
    assert {each.name for each in head.provenance.learned_from} == {"image-0000", "image-0001"}
    assert [each.name for each in head.provenance.chosen_on] == ["image-0002"]


def test_a_method_is_called_by_its_name_and_odd_values_are_said(backbone: Backbone, arrays: dict[str, Any]) -> None:
    images, masks = zip(*arrays.values(), strict=True)
    dark = [image.astype(np.uint16) for image in images]
    with pytest.warns(UserWarning, match="nearly black where white is 65535"):
        head = tedm.fit_images(dark, masks, backbone, method="timestep:1", device="cpu")
    assert head.method.name == "timestep:1"


def test_what_cannot_be_learned_from_is_refused_before_the_work(
    backbone: Backbone, arrays: dict[str, Any], tmp_path: Path
) -> None:
    images, masks = (list(each) for each in zip(*arrays.values(), strict=True))
    soft = [mask.astype(float) / 255 * 0.7 for mask in masks]
    refusals: list[tuple[Any, Any, dict[str, Any], str]] = [
        ([], [], {}, "there is no image to learn from"),
        (images, masks[:3], {}, "3 masks for 4 images; give one for each"),
        (images, masks, {"names": ["a", "b", "b", "c"]}, "names: 'b' is there twice"),
        (images, masks, {"names": ["a", "b", "c", "d/e"]}, "image 'd/e': the name cannot be a file's name"),
        (images, masks, {"splits": ["train", "train", "dev", "test"]}, "'dev' is none of train, val, test"),
        (images, masks, {"groups": [*"pqpq"], "splits": ["train", "train", "val", "train"]}, "group p is in 'train'"),
        (images, [masks[1], *masks[1:]], {}, r"mask of image-0000: of shape \(21, 25\), its image of \(20, 26\)"),
        (images, soft, {}, "mask of image-0000: a mask with values that are no whole numbers"),
        (images, masks, {"classes": [0, 1]}, "values 255 are none of the classes 0, 1"),
        (images, [None] * 4, {}, "no mask has a labelled pixel"),
        (images, masks, {"ignore": 0, "classes": [0, 255]}, "the value 0 is both a class and ignored"),
        (images, masks, {"method": "tedn"}, "there is no method 'tedn'"),
        ([image.astype(int) for image in images], masks, {}, "signed with 64 bits have no range"),
        (images, [mask == 9 for mask in masks], {}, "have one class"),
    ]  # fmt: skip
    for given, of, options, said in refusals:
        with pytest.raises(TedmError, match=said):
            tedm.fit_images(given, of, backbone, scratch=tmp_path, **{**QUICK, **options})
        assert list(tmp_path.iterdir()) == []


def test_without_a_method_it_is_the_default_with_views_of_few_images(backbone: Backbone, arrays: dict[str, Any]) -> None:
    images, masks = zip(*arrays.values(), strict=True)
    head = tedm.fit_images(images[:1], masks[:1], backbone, iterations=2, device="cpu")
    assert (head.label, head.method.views, head.provenance.labels_used) == ("jury", 8, 1)
    assert (
        tedm.fit_images(images[:1], masks[:1], backbone, iterations=2, ridge=None, patience=None, params={"hidden": [4]}).label
        == "tedm"
    )
