"""A store verified, computed again and repaired from Python."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.extract import load_backbone
from tedm.store import FeatureStore
from tedm.study import verify_store
from tedm.study.verify import images_to_recompute


@pytest.fixture
def store(extracted: Path, tmp_path: Path) -> FeatureStore:
    shutil.copytree(extracted, tmp_path / "store")
    return FeatureStore.open(tmp_path / "store")


def test_a_whole_store_is_whole_when_computed_again(store: FeatureStore, checkpoint: Path) -> None:
    done = verify_store(store, backbone=load_backbone(checkpoint), recompute=2, seed=1)
    assert (done.whole, done.images, done.damage, done.missing, done.lost) == (True, 7, (), (), [])
    assert list(done.recomputed) == images_to_recompute(list(store.labels.names), 2, seed=1)


def test_what_is_damaged_is_removed_and_reported_as_it_was(store: FeatureStore) -> None:
    (Path(store.path) / "image" / "c.3.0.0.0").write_bytes(b"torn")
    assert FeatureStore.open(store.path).missing() == []
    found, repaired = verify_store(store), verify_store(store, repair=True)
    assert found == repaired
    assert (found.lost, found.damaged_masks, found.whole) == (["scan 3"], False, False)
    assert FeatureStore.open(store.path).missing() == ["scan 3"]
    after = verify_store(store)
    assert (after.damage, after.missing) == ((), ("scan 3",))
    assert after.to_json() == {"images": 7, "damage": [], "missing": ("scan 3",), "recomputed": (), "differences": ()}


def test_a_store_is_not_whole_beside_files_that_differ_from_it(
    store: FeatureStore, dataset: Path, write_images, tmp_path
) -> None:
    assert verify_store(store, images=dataset).whole
    done = verify_store(store, images=write_images(tmp_path / "fewer", train=3, test=3))
    assert not done.whole
    assert done.differences[-1].startswith("image scan 6: missing: in ")


def test_a_damaged_mask_is_no_reason_to_compute_again(store: FeatureStore) -> None:
    (Path(store.path) / "mask" / "c.1.0.0").write_bytes(b"torn")
    done = verify_store(store, repair=True)
    assert (done.lost, done.damaged_masks) == ([], True)


def test_a_number_without_a_backbone_is_refused(store: FeatureStore) -> None:
    with pytest.raises(TedmError, match="both their number and the backbone"):
        verify_store(store, recompute=2)


def test_images_to_compute_again_are_nested_and_follow_the_seed() -> None:
    names = list("abcdefgh")
    assert images_to_recompute(names, 5, seed=3)[:2] == images_to_recompute(names, 2, seed=3)
    assert sorted(images_to_recompute(names, 99, seed=3)) == names
    assert len({tuple(images_to_recompute(names, 3, seed=seed)) for seed in range(5)}) > 1


def test_a_store_whose_images_were_never_registered_is_not_called_whole(store: FeatureStore, tmp_path: Path) -> None:
    empty = FeatureStore.create(tmp_path / "empty", store.settings, store.arithmetic, store.storage, {})
    with pytest.raises(TedmError, match=r"has no images: what made it was stopped before they were registered\nRun the same"):
        verify_store(empty)
