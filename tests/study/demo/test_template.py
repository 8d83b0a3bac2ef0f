"""The demo's slices as features, and its backbone."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tedm.extract import load_backbone
from tedm.study.demo import template, template_slices, template_store

CHECKPOINT = Path(template.__file__).with_name("demo.safetensors")


def test_the_demos_backbone_is_small_and_whole():
    backbone = load_backbone(CHECKPOINT)
    assert CHECKPOINT.stat().st_size <= 4_000_000
    assert (backbone.image_size, backbone.image_channels, backbone.step) == (64, 1, 1000)
    assert [level.channels for level in backbone.levels] == [64, 32, 16]


def test_the_slices_are_written_once(tmp_path):
    pytest.importorskip("nilearn", reason="needs the extra tedm[demo]")
    manifest = template_slices(tmp_path)
    rows = list(csv.DictReader(manifest.read_text().splitlines()))
    assert [sum(row["split"] == split for row in rows) for split in ("train", "test")] == [6, 40]
    manifest.write_text("mine")
    assert template_slices(tmp_path) == manifest
    assert manifest.read_text() == "mine"


@pytest.mark.slow
def test_the_template_store_has_what_was_asked_for_and_is_not_made_twice(tmp_path):
    pytest.importorskip("nilearn", reason="needs the extra tedm[demo]")
    computed = []
    store = template_store(
        tmp_path, timesteps=(1, 800), draws=2, domains=["coronal"], progress=lambda done, all_, _: computed.append((done, all_))
    )
    assert (store.settings.timesteps, store.settings.draws) == ((1, 800), 2)
    assert (set(store.labels.domains), len(store.labels), store.labels.classes) == ({"coronal"}, 10, (0, 1, 2))
    assert store.missing() == []
    assert len(computed) == 10
    before = (tmp_path / "slices" / "manifest.csv").stat().st_mtime_ns
    again = template_store(tmp_path, timesteps=(1, 800), draws=2, domains=["coronal"], progress=computed.append)
    assert len(computed) == 10  # no image was computed
    assert again.labels == store.labels
    assert (tmp_path / "slices" / "manifest.csv").stat().st_mtime_ns == before
