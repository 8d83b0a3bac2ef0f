"""No store is made for nothing, and none is spoken of that is gone."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract import extract, load_backbone, read_manifest
from tedm.extract.rehearsal import require_room, require_store

QUICK = {"timesteps": (1,), "layout": "native", "device": "cpu", "precision": "float32", "threads": 1}


def test_where_no_image_can_be_read_no_store_is_made(dataset, checkpoint, tmp_path):
    manifest = read_manifest(dataset)
    Image.new("RGB", (9, 9), "red").save(tmp_path / "red.png")
    red = replace(manifest.entries[0], image=tmp_path / "red.png")
    backbone = load_backbone(checkpoint)
    with pytest.raises(TedmError, match="1 of 1 images could not be read; no store was made") as refused:
        extract(replace(manifest, entries=(red,), headers=manifest.headers[:1]), tmp_path / "store", backbone, **QUICK)
    assert "red.png" in str(refused.value)
    assert not (tmp_path / "store").exists()
    several = (red, *manifest.entries[1:3])
    with pytest.raises(TedmError, match="1 of 3 images could not be read; all others are in"):
        extract(replace(manifest, entries=several, headers=manifest.headers[:3]), tmp_path / "store", backbone, **QUICK)
    assert (tmp_path / "store").exists()


def test_a_mask_that_cannot_be_read_leaves_no_store(dataset, checkpoint, tmp_path):
    manifest = read_manifest(dataset)
    (tmp_path / "mask.png").write_bytes(b"no picture")
    bad = replace(manifest.entries[1], mask=tmp_path / "mask.png")
    with pytest.raises(TedmError, match="mask.png"):
        extract(
            replace(manifest, entries=(manifest.entries[0], bad), headers=manifest.headers[:2]),
            tmp_path / "store",
            load_backbone(checkpoint),
            **QUICK,
        )
    assert not (tmp_path / "store").exists()


def test_a_store_that_is_moved_during_the_work_is_missed(dataset, checkpoint, tmp_path):
    moved: list[int] = []

    def move(done: int, total: int, pace: str) -> None:
        if not moved:
            moved.append(done)
            (tmp_path / "store").rename(tmp_path / "elsewhere")

    with pytest.raises(TedmError, match="store is not there any more: it was moved or deleted during the work\nMove it back"):
        extract(read_manifest(dataset), tmp_path / "store", load_backbone(checkpoint), progress=move, **QUICK)
    assert not (tmp_path / "store").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "store")
    done = extract(read_manifest(dataset), tmp_path / "store", load_backbone(checkpoint), **QUICK)  # as it is advised
    assert (done.store.missing(), done.reused) == ([], 1)
    last = done.store.labels.names[-1]
    level = done.store.feature_arrays()[0]
    (done.store.path / done.store.files_of(last)[level]).unlink()
    with pytest.raises(TedmError, match="1 images that were written to .* are not there any more"):
        require_store(done.store, done.store.labels.names)
    shutil.rmtree(tmp_path / "store")


def test_what_cannot_fit_on_the_disk_is_refused_before_any_work(dataset, checkpoint, tmp_path):
    manifest, backbone = read_manifest(dataset), load_backbone(checkpoint)
    with pytest.raises(TedmError, match=r"store will need at least \S+ GB for \d images, and its disk has .* free\nMake room"):
        extract(manifest, tmp_path / "store", backbone, **QUICK, draws=10**9)
    assert not (tmp_path / "store").exists()
    done = extract(manifest, tmp_path / "store", backbone, **QUICK)
    again = replace(done.store.settings, draws=10**9)
    names = [entry.name for entry in manifest.entries]
    require_room(tmp_path / "store", done.store, again, done.store.storage, names)  # what is there takes nothing
    with pytest.raises(TedmError, match="for 1 image, and"):
        require_room(tmp_path / "store", done.store, again, done.store.storage, [*names, "another"])
    require_room("s3://bucket/store", None, again, done.store.storage, names)  # nothing is known of a bucket
