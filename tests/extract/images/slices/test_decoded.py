"""The modalities and the brain of a volume as they are decoded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from volume_files import brain_of, head, save, write_patients

from tedm.errors import TedmError
from tedm.extract.images import ManifestEntry, VolumeOptions, read_manifest
from tedm.extract.images.slices.decoded import brain_of as brain_of_entry
from tedm.extract.images.slices.decoded import labels_in, modalities_of, volume_of


def test_channels_are_files_or_volumes_of_a_file(tmp_path, rng):
    one, other = head(rng), head(rng, level=900)
    save(tmp_path / "both.nii", np.stack([one, other], axis=-1))
    manifest = read_manifest(tmp_path / "both.nii", options=VolumeOptions(channels_in_file=True))
    found = modalities_of(manifest.entries[0])
    assert [each.path.name for each in found] == ["both.nii", "both.nii"]
    for each, expected in zip(found, (one, other), strict=True):
        np.testing.assert_array_equal(each.voxels, expected)


def test_a_brain_mask_that_is_not_asked_for_is_not_opened(tmp_path):
    entry = read_manifest(write_patients(tmp_path, splits=["train"])).entries[0]
    modalities = modalities_of(entry)
    np.testing.assert_array_equal(brain_of_entry(entry, modalities, "mask"), brain_of())
    entry.brain.unlink()
    assert brain_of_entry(entry, modalities, "all") is None
    np.testing.assert_array_equal(brain_of_entry(entry, modalities, "nonzero"), brain_of())
    with pytest.raises(TedmError, match=r"brain\.nii\.gz: no such file"):
        brain_of_entry(entry, modalities, "mask")
    with pytest.raises(TedmError, match=r"image\.nii\.gz: it has no brain mask"):
        brain_of_entry(replace(entry, brain=None), modalities, "mask")


def test_a_mask_lies_upon_its_volume_or_is_refused(tmp_path):
    entry = read_manifest(write_patients(tmp_path, splits=["train"])).entries[0]
    save(tmp_path / "other.nii", np.zeros((3, 4, 5), np.uint8))
    with pytest.raises(TedmError, match=r"other\.nii has 3 x 4 x 5 voxels and the volume p0 8 x 9 x 5"):
        labels_in(tmp_path / "other.nii", entry.volume)


def test_a_picture_has_no_volume(tmp_path):
    with pytest.raises(ValueError, match="a is no slice of a volume"):
        volume_of(ManifestEntry.of_picture(tmp_path / "a.png"))
