"""Masks in a folder from Python: from a store and from images, and what is refused."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image

from tedm.errors import TedmError
from tedm.extract import load_backbone
from tedm.extract.backbones import random_backbone
from tedm.heads import load_head, predict
from tedm.store import FeatureStore
from tedm.study import live_features, predict_folder
from tedm.study.stages import Progress, Stages


def test_features_on_the_fly_are_those_of_the_store(extracted: Path, fitted: Path, dataset: Path, checkpoint: Path) -> None:
    store = FeatureStore.open(extracted)
    live = live_features(load_head(fitted), dataset, load_backbone(checkpoint), timesteps=[50], device="cpu")
    assert live.settings == replace(store.settings, timesteps=(50,))
    names = store.labels.names[:2]
    for one, other in zip(live.blocks(names), store.blocks(names, [50]), strict=True):
        for mine, theirs in zip(one.cells, other.cells, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_uncertainty_of_images_is_that_of_the_prediction(
    extracted: Path, fitted: Path, dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    head = load_head(fitted)
    options = {"backbone": load_backbone(checkpoint), "device": "cpu", "uncertainty": True}
    names = predict_folder(tmp_path / "masks", head, dataset, **options)
    lines = (tmp_path / "masks" / "uncertainty.csv").read_text().splitlines()
    assert lines[0] == "image,entropy,disagreement"
    predictions = predict(FeatureStore.open(extracted), {"head": head}, names, uncertainty=True)
    expected = [f"{each.name},{each.entropy.mean():.6f},{each.disagreement.mean():.6f}" for each in predictions]
    assert lines[1:] == expected
    for name in names:
        with Image.open(dataset.parent / "images" / f"{name}.png") as image:
            for ending in ("", "-entropy", "-disagreement"):
                with Image.open(tmp_path / "masks" / f"{name}{ending}.png") as picture:
                    assert picture.size == image.size


def test_the_images_of_a_split_and_a_domain_are_predicted(extracted: Path, fitted: Path, tmp_path: Path) -> None:
    said: list[str] = []
    names = predict_folder(tmp_path / "masks", load_head(fitted), extracted, split="train", domain="here", log=said.append)
    assert names == ["scan 1", "scan 3"]
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["scan 1.png", "scan 3.png"]
    assert said == []


def test_a_backbone_that_is_missing_superfluous_or_another_is_refused(
    extracted: Path, fitted: Path, dataset: Path, tmp_path: Path
) -> None:
    head, other = load_head(fitted), random_backbone(seed=5)
    refusals = [
        (dataset, None, "name the backbone with --checkpoint"),
        (dataset, other, "other.pt is not the backbone of this head"),
        (extracted, other, "is a feature store: --checkpoint and --backbone are for images"),
    ]
    for source, backbone, said in refusals:
        with pytest.raises(TedmError, match=said):
            predict_folder(tmp_path / "masks", head, source, backbone=backbone, backbone_name="other.pt")
    assert not (tmp_path / "masks").exists()


def test_masks_are_not_spoken_of_where_their_folder_was_moved(extracted: Path, fitted: Path, tmp_path: Path) -> None:
    head = load_head(fitted)
    names = FeatureStore.open(extracted).labels.select(split="test")

    def moves_after(many: int) -> Stages:
        @contextlib.contextmanager
        def stage(what: str) -> Iterator[Progress]:
            yield lambda done, total, remark=None: (done == many and (tmp_path / "masks").rename(tmp_path / "moved")) and None

        return stage

    for many, said in (
        (1, "cannot write .*masks.*: No such file"),
        (len(names), f"{len(names)} of the {len(names)} files that"),
    ):
        with pytest.raises(TedmError, match=said):
            predict_folder(tmp_path / "masks", head, extracted, progress=moves_after(many))
        assert not (tmp_path / "masks").exists()
        (tmp_path / "moved").rename(tmp_path / f"moved {many}")


def test_a_folder_that_is_a_link_is_filled_where_it_leads(extracted: Path, fitted: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    names = predict_folder(tmp_path / "link", load_head(fitted), extracted)
    assert sorted(path.stem for path in (tmp_path / "real").iterdir()) == sorted(names)


def renamed(store: Path, names: dict[int, str], folder: Path) -> Path:
    """A copy of a store in which images have other names."""
    shutil.copytree(store, folder)
    for at, name in names.items():
        zarr.open_group(folder, mode="r+")["name"][at] = name
    return folder


@pytest.mark.parametrize("name", ["../../victim", "/tmp/victim", "a\\b", "nul\0", "line\nbreak", "\x1b[31m", "CON"])
def test_a_name_that_is_no_files_is_refused_before_the_work(extracted: Path, fitted: Path, tmp_path: Path, name: str) -> None:
    store = renamed(extracted, {5: name}, tmp_path / "store")
    with pytest.raises(TedmError, match=r"cannot write the masks of .*store under .* names:\n  image .*extract the image"):
        predict_folder(tmp_path / "deep" / "masks", load_head(fitted), store)
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize(("one", "other"), [("x", "x-entropy"), ("Scan", "scan"), ("e\u0301", "\u00e9")])
def test_images_of_which_two_files_would_be_one_are_refused_before_the_work(
    extracted: Path, fitted: Path, tmp_path: Path, one: str, other: str
) -> None:
    store = renamed(extracted, {4: one, 5: other}, tmp_path / "store")
    with pytest.raises(
        TedmError, match=r"would both become .*extract one of them under another name .*, or leave out --uncertainty"
    ):
        predict_folder(tmp_path / "masks", load_head(fitted), store, uncertainty=True)
    assert not (tmp_path / "masks").exists()


def test_an_image_that_looks_like_a_formula_is_text_in_the_table(extracted: Path, fitted: Path, tmp_path: Path) -> None:
    store = renamed(extracted, {4: "=1+1"}, tmp_path / "store")
    predict_folder(tmp_path / "masks", load_head(fitted), store, uncertainty=True)
    assert (tmp_path / "masks" / "=1+1.png").is_file()
    assert (tmp_path / "masks" / "uncertainty.csv").read_text().splitlines()[1].startswith("'=1+1,0.")
