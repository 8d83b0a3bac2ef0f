"""Views of training images lie in a store of their own, are made once, and follow their images."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from trees import tree

from tedm.augmentation import view_image
from tedm.errors import TedmError
from tedm.extract import extract, extract_views, load_backbone, read_manifest
from tedm.store import FeatureStore, verify
from tedm.views import ViewKind

FULL = ViewKind("full", 0)
CPU = {"device": "cpu", "threads": 1}


@pytest.fixture
def store(extracted: Path, tmp_path: Path) -> FeatureStore:
    shutil.copytree(extracted, tmp_path / "store")
    return FeatureStore.open(tmp_path / "store")


def views_of(store: FeatureStore, checkpoint: Path, count: int = 2, **options: object) -> tuple[FeatureStore, int, int]:
    done = extract_views(store, load_backbone(checkpoint), count, **{**CPU, **options})  # type: ignore[arg-type]
    return done.store, done.computed, done.reused


def test_every_labelled_training_image_has_its_views_and_nobody_else(store: FeatureStore, checkpoint: Path) -> None:
    assert store.views() is None
    before = store.labels
    views, computed, reused = views_of(store, checkpoint)
    assert (computed, reused, views.missing()) == (8, 0, [])
    assert list(views.labels.names) == [f"scan {number}@{view}" for number in range(4) for view in (1, 2)]
    assert FeatureStore.open(store.path).labels == before
    at = [store.labels.index(name.partition("@")[0]) for name in views.labels.names]
    assert [views.labels.groups[k] for k in range(8)] == [store.labels.groups[k] for k in at]
    for name in views.labels.names:
        expected = view_image(store.image(name.partition("@")[0]), name, FULL)
        np.testing.assert_allclose(views.image(name), expected, rtol=0, atol=1e-6)
    again = FeatureStore.open(store.path).views()
    assert again is not None
    assert again.kind == FULL
    assert views_of(store, checkpoint)[1:] == (0, 8)
    assert views_of(store, checkpoint, 3)[1:] == (4, 8)
    assert verify(store) == []


def test_a_view_without_changes_is_its_image_with_other_noise(store: FeatureStore, checkpoint: Path) -> None:
    views, *_ = views_of(store, checkpoint, 1, kind=ViewKind("none", 0))
    image, view = store.block("scan 0"), views.block("scan 0@1")
    np.testing.assert_allclose(views.image("scan 0@1"), store.image("scan 0"), rtol=0, atol=1e-6)
    noisy = view.timesteps.index(50)
    assert not np.array_equal(image.cells[0][noisy], view.cells[0][noisy])


def test_shards_and_a_run_that_was_stopped_end_in_the_bytes_of_one_run(
    store: FeatureStore, checkpoint: Path, extracted: Path, tmp_path: Path
) -> None:
    views_of(store, checkpoint)
    shutil.copytree(extracted, tmp_path / "other")
    other = FeatureStore.open(tmp_path / "other")
    assert views_of(other, checkpoint, shard=(1, 2))[1:] == (4, 0)

    def stop(done: int, total: int, pace: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        views_of(other, checkpoint, shard=(0, 2), progress=stop)
    views_of(other, checkpoint, shard=(0, 2))
    assert tree(tmp_path / "other") == tree(tmp_path / "store")


def test_views_follow_an_image_that_changed(dataset: Path, checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset.parent, tmp_path / "data")
    backbone, options = load_backbone(checkpoint), {"timesteps": (1,), "layout": "native", "precision": "float32", **CPU}

    def store(**more: object) -> FeatureStore:
        manifest = read_manifest(tmp_path / "data" / "manifest.csv")
        return extract(manifest, tmp_path / "store", backbone, **options, **more).store  # type: ignore[arg-type]

    views_of(store(), checkpoint)
    path = tmp_path / "data" / "images" / "scan 1.png"
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    changed = store(update=True)
    assert views_of(changed, checkpoint)[1:] == (2, 6)
    views = changed.views()
    assert views is not None
    expected = view_image(changed.image("scan 1"), "scan 1@2", FULL)
    np.testing.assert_allclose(views.features.image("scan 1@2"), expected, rtol=0, atol=1e-6)


def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_written(
    store: FeatureStore, checkpoint: Path, tmp_path: Path
) -> None:
    from tedm.extract.backbones import random_backbone, save_backbone

    for count in (0, -1):
        with pytest.raises(TedmError, match=f"--views is {count}; it must be at least 1"):
            views_of(store, checkpoint, count)
    save_backbone(random_backbone(seed=1), tmp_path / "other.safetensors")
    with pytest.raises(TedmError, match="was made with another checkpoint; views need the same"):
        views_of(store, tmp_path / "other.safetensors")
    assert store.views() is None
    views_of(store, checkpoint, 1)
    for kind in (ViewKind("none", 0), ViewKind("full", 3)):
        with pytest.raises(TedmError, match="has views of --view-changes full and seed 0, and .* repeat these, or delete"):
            views_of(store, checkpoint, 1, kind=kind)


def test_views_that_cannot_fit_on_the_disk_are_refused_before_any_work(
    store: FeatureStore, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(TedmError, match="views will need at least .* for 8 images, and its disk has 0.001 MB free"):
        views_of(store, checkpoint)
    assert store.views() is None


def test_views_of_equal_noise_must_change_something(dataset: Path, checkpoint: Path, tmp_path: Path) -> None:
    backbone = load_backbone(checkpoint)
    store = extract(read_manifest(dataset), tmp_path / "store", backbone, timesteps=(1,), noise="shared", **CPU).store
    with pytest.raises(TedmError, match="with --noise shared views would be equal: give --view-changes intensity or full"):
        views_of(store, checkpoint, kind=ViewKind("none", 0))
    assert views_of(store, checkpoint, 1, kind=ViewKind("intensity", 0))[1:] == (4, 0)


def test_a_store_without_labelled_training_images_has_none(dataset: Path, checkpoint: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(dataset.read_text().splitlines()))
    with (dataset.parent / "tests.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["split"] == "test")
    backbone = load_backbone(checkpoint)
    store = extract(read_manifest(dataset.parent / "tests.csv"), tmp_path / "store", backbone, timesteps=(1,), **CPU).store
    with pytest.raises(TedmError, match="there is no labelled image of split 'train'"):
        views_of(store, checkpoint)
    assert store.views() is None


def test_a_damaged_view_is_found_and_made_again(store: FeatureStore, checkpoint: Path, tmp_path: Path) -> None:
    from tedm.study import verify_store

    views, *_ = views_of(store, checkpoint)
    whole = tree(tmp_path / "store")
    assert verify_store(store).whole
    path = tmp_path / "store" / "views" / views.files_of("scan 2@1")[views.feature_arrays()[0]]
    path.write_bytes(path.read_bytes()[:-9])
    done = verify_store(store)
    assert not done.whole
    assert done.damage == ()
    assert done.views is not None
    assert done.views.lost == ["scan 2@1"]
    assert views_of(store, checkpoint, repair=True)[1:] == (1, 7)
    assert tree(tmp_path / "store") == whole
