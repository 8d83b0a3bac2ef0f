"""Training images with their views: what a head learns from, and what stays out of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tedm.augmentation import view_mask
from tedm.errors import TedmError
from tedm.extract import extract_views, load_backbone
from tedm.heads import committee_of, fit, load_head, method_named, names_in_records, predict, save_head
from tedm.heads.data.blocks import blocks_with_images
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.views import WithViews
from tedm.store import FeatureStore, OnLevels
from tedm.views import ViewKind


@pytest.fixture(scope="module")
def viewed(extracted: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A store with two views of each of its four training images."""
    path = tmp_path_factory.mktemp("viewed") / "store"
    shutil.copytree(extracted, path)
    extract_views(FeatureStore.open(path), load_backbone(checkpoint), 2, device="cpu", threads=1)
    return FeatureStore.open(path)


def with_views(store: FeatureStore, names: list[str], count: int = 2) -> WithViews:
    views = store.views()
    assert views is not None
    return WithViews(store, views, names, count)


def test_views_come_behind_their_images_with_their_groups_and_masks_that_moved_with_them(viewed: FeatureStore) -> None:
    features = with_views(viewed, ["scan 2", "scan 0"])
    assert features.names == ["scan 2", "scan 2@1", "scan 2@2", "scan 0", "scan 0@1", "scan 0@2"]
    assert list(features.labels.names) == features.names
    assert features.labels.groups == ("p2",) * 3 + ("p0",) * 3
    assert np.array_equal(features.mask("scan 0"), viewed.mask("scan 0"))
    assert np.array_equal(features.mask("scan 0@2"), view_mask(viewed.mask("scan 0"), "scan 0@2", ViewKind("full", 0)))
    blocks = {block.name: block for block in features.blocks(features.names, [50])}
    assert list(blocks) == features.names
    assert np.array_equal(blocks["scan 0"].cells[0], viewed.block("scan 0", [50]).cells[0])
    assert not np.array_equal(blocks["scan 0"].cells[0], blocks["scan 0@1"].cells[0])
    data = TrainingData(features, features.names, rows="share")
    assert data.names == features.names


def test_a_fit_learns_from_views_and_counts_labels_by_images(viewed: FeatureStore, tmp_path: Path) -> None:
    options = {"images": 2, "iterations": 20, "seed": 1}
    plain = fit(viewed, method_named("tedm", timesteps=[1, 50]), **options)
    head = fit(viewed, method_named("tedm", timesteps=[1, 50], views=2), **options)
    again = fit(viewed, method_named("tedm", timesteps=[1, 50], views=2), **options)
    assert head.provenance.images == plain.provenance.images
    assert (head.provenance.n, head.provenance.labels_used) == (2, 2)
    tests = viewed.labels.select(split="test")
    first, other, second = (
        [prediction.probabilities for prediction in predict(viewed, {"": each}, tests)] for each in (head, plain, again)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    save_head(head, tmp_path / "head")
    assert json.loads((tmp_path / "head" / "head.json").read_text())["method"]["views"] == 2
    assert load_head(tmp_path / "head").method == head.method
    assert list(names_in_records({"a": plain, "b": head}).values()) == ["tedm", "tedm, views 2"]
    save_head(plain, tmp_path / "plain")
    assert "views" not in json.loads((tmp_path / "plain" / "head.json").read_text())["method"]


def test_a_logistic_regression_and_its_cross_validation_keep_views_with_their_images(viewed: FeatureStore) -> None:
    method = method_named("timestep:50", views=1)
    head = fit(viewed, method, ridge=[0.1, 10.0], iterations=30)
    assert head.provenance.labels_used == 4
    # leaving out a group leaves out its views: a fit of one image and its views has one group, and nothing to choose by
    one = fit(viewed, method, images=1, ridge="auto", iterations=30)
    assert any("group" in remark for remark in one.estimator.remarks())


def test_masks_that_are_replaced_are_those_of_the_views(viewed: FeatureStore, tmp_path: Path) -> None:
    from tedm.store import Registration

    shutil.copytree(viewed.path, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    mask = store.mask("scan 0")[::-1].copy()
    store.relabel([Registration("scan 0", "", "", "", (0, 0), mask)], store.labels.classes)
    expected = view_mask(mask, "scan 0@1", ViewKind("full", 0))
    assert np.array_equal(with_views(store, ["scan 0"]).mask("scan 0@1"), expected)


def test_views_that_are_not_there_are_refused_in_one_line(viewed: FeatureStore, extracted: Path, tmp_path: Path) -> None:
    method = method_named("tedm", timesteps=[1, 50], views=3)
    with pytest.raises(TedmError, match="has 2 views, and 3 are asked for; make them with the same tedm-extract and --views 3"):
        fit(viewed, method, iterations=1)
    with pytest.raises(TedmError, match="tedm learns from 3 views of each training image, and the store has none"):
        fit(FeatureStore.open(extracted), method, iterations=1)
    with pytest.raises(TedmError, match="--views is -1; it must be at least 0"):
        method_named("tedm", views=-1)
    with pytest.raises(TedmError, match="--method unet looks at images, and changes these itself: leave out --views"):
        method_named("unet", views=1)
    shutil.copytree(viewed.path, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    views = store.views()
    assert views is not None
    views.features.discard(["scan 3@2"])  # type: ignore[attr-defined]
    with pytest.raises(TedmError, match=r"image scan 3@2 is not in the store .*views yet \(1 of 8 still missing\)"):
        with_views(store, ["scan 3"])
    store.write("scan 1", 1 - store.image("scan 1"), [level.astype(np.float32) for level in store.block("scan 1").cells])
    with pytest.raises(TedmError, match="the views of image scan 1 show another image than the store has now; run the same"):
        with_views(store, ["scan 1"])


def test_views_of_other_features_are_refused(viewed: FeatureStore, tmp_path: Path) -> None:
    views = viewed.views()
    assert views is not None
    with pytest.raises(TedmError, match="the views are of other features than the store: levels"):
        WithViews(OnLevels(viewed, [viewed.settings.levels[0].name]), views, ["scan 0"], 1)
    some = OnLevels(viewed, [viewed.settings.levels[0].name])
    level = some.views()
    assert level is not None
    assert len(next(WithViews(some, level, ["scan 0"], 1).blocks(["scan 0@1"])).cells) == 1


def test_a_committee_learns_from_views_and_a_part_that_looks_at_images_does_not(viewed: FeatureStore) -> None:
    quick = {"images": 2, "iterations": 6, "seed": 1}
    shared = method_named("tedm", timesteps=[1, 50], views=2)
    unet = replace(method_named("unet"), settings={"width": 4, "multipliers": [1, 2, 2]})
    both = committee_of("both", [shared, unet])
    assert both.views == 2
    head, alone, image = (fit(viewed, method, **quick) for method in (both, shared, unet))
    assert head.provenance.labels_used == 2
    name = viewed.labels.select(split="test")[0]
    blocks = next(iter(blocks_with_images(viewed, [name], [1, 50])))
    parts = head.opinions(blocks)
    np.testing.assert_allclose(parts[0].reshape(16, 16, 2), alone.probabilities(blocks), rtol=0, atol=1e-6)
    np.testing.assert_allclose(parts[1].reshape(16, 16, 2), image.probabilities(blocks), rtol=0, atol=1e-6)
    with pytest.raises(TedmError, match="parts of a committee learn from the same views; these ask for 0, 2 of each image"):
        committee_of("both", [shared, method_named("ledm")])


def test_an_image_that_is_called_as_a_view_of_another_is_refused(viewed: FeatureStore) -> None:
    with pytest.raises(
        TedmError, match="the image scan 0@1 is called as a view of scan 0 is; give one of the two another name"
    ):
        with_views(viewed, ["scan 0", "scan 0@1"])
