"""Statistics of training patients, and what is refused before volumes are read."""

from __future__ import annotations

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from volume_files import SHAPE, brain_of, head, save, write_patients

from tedm.errors import TedmError
from tedm.extract.images import VolumeOptions, read_manifest
from tedm.extract.images.slices.ranges import first_slices, with_statistics
from tedm.store.volumes.normalisation import Normalisation

ZSCORE = Normalisation("zscore", brain="mask")


def numbers(folder, patient, column="image"):
    return np.asarray(nibabel.load(folder / patient / f"{column}.nii.gz").dataobj)


def add(folder, patient, what):
    """Change a patient's numbers."""
    path = folder / patient / "image.nii.gz"
    save(path, (numbers(folder, patient) + what * brain_of()).astype(np.int16))


def test_mean_and_deviation_are_over_the_brain_voxels_of_the_training_patients(tmp_path):
    found = with_statistics(ZSCORE, read_manifest(write_patients(tmp_path)).entries)
    voxels = np.concatenate([numbers(tmp_path, patient)[brain_of()] for patient in ("p0", "p1")]).astype(float)
    assert found.means == pytest.approx((voxels.mean(),))
    assert found.deviations == pytest.approx((voxels.std(),))
    assert found.patients == ("p0", "p1")
    assert replace(found, means=(), deviations=(), patients=()) == ZSCORE


@pytest.mark.parametrize(("patient", "the_same"), [("p0", False), ("p1", False), ("p2", True), ("p3", True)])
def test_no_voxel_of_a_patient_of_val_or_test_is_in_the_statistics(tmp_path, patient, the_same):
    manifest = write_patients(tmp_path)
    before = with_statistics(ZSCORE, read_manifest(manifest).entries)
    add(tmp_path, patient, 500)
    assert (with_statistics(ZSCORE, read_manifest(manifest).entries) == before) is the_same


def test_each_modality_has_its_own(tmp_path):
    manifest = read_manifest(write_patients(tmp_path, columns=["flair", "t1"]), options=VolumeOptions(channels=("flair", "t1")))
    found = with_statistics(ZSCORE, manifest.entries)
    for channel, column in enumerate(("flair", "t1")):
        voxels = np.concatenate([numbers(tmp_path, patient, column)[brain_of()] for patient in ("p0", "p1")]).astype(float)
        assert found.means[channel] == pytest.approx(voxels.mean())
        assert found.deviations[channel] == pytest.approx(voxels.std())


def test_without_a_training_patient_there_are_no_statistics(tmp_path):
    manifest = read_manifest(write_patients(tmp_path, splits=["test", "val", ""]))
    with pytest.raises(TedmError, match=r"no volume is of the split train; give some a split, or use --normalise quantile$"):
        with_statistics(ZSCORE, manifest.entries)


def test_volumes_of_one_value_have_no_deviation(tmp_path):
    save(tmp_path / "a.nii", np.full(SHAPE, 5, np.int16))
    (tmp_path / "m.csv").write_text("image,split\na.nii,train\n")
    with pytest.raises(TedmError, match="channel 0 of all training volumes is of one value; look at the files"):
        with_statistics(replace(ZSCORE, brain="all"), read_manifest(tmp_path / "m.csv").entries)


@pytest.mark.parametrize(
    ("normalisation", "range_", "channels", "said"),
    [
        (
            None,
            None,
            1,
            r"a\.nii: values of kind int16 with 16 bits have no range of their own; give --intensity-range, or",
        ),
        (ZSCORE, None, 1, r"a\.nii: it has no brain mask; name one in the column brainmask"),
        (None, (0.0, 900.0), 0, r"a\.nii: 1 channel, and the backbone takes 0; name as many with --channels"),
        (None, (0.0, 900.0), 4, r"a\.nii: 1 channel, and the backbone takes 4; name a column for each with --channels"),
    ],
)
def test_what_cannot_become_the_backbones_images_is_refused_before_it_is_read(
    tmp_path, rng, normalisation, range_, channels, said
):
    save(tmp_path / "a.nii", head(rng))
    manifest = read_manifest(tmp_path / "a.nii")
    with pytest.raises(TedmError, match=said) as refused:
        manifest.require_intensity_range(range_, channels=channels, normalisation=normalisation)
    assert str(refused.value).count("\n") == 1  # once for all slices


def test_numbers_that_fit_black_and_white_badly_are_said(tmp_path, rng):
    """Of 16 bits, with 12 in use, without a range: nearly black, as pictures are."""
    save(tmp_path / "a.nii", (head(rng) * 4).clip(0, 4000).astype(np.uint16))
    manifest = read_manifest(tmp_path / "a.nii")
    (said,) = manifest.require_intensity_range(None, channels=1)
    assert "nearly black where white is 65535" in said
    assert manifest.require_intensity_range((0.0, 4000.0), channels=1) == []
    nonzero = Normalisation("quantile", brain="nonzero")
    assert manifest.require_intensity_range(None, channels=1, normalisation=nonzero) == []
    with pytest.raises(TedmError, match="would be of a single grey value"):
        manifest.require_intensity_range((-2.0, -1.0), channels=1)


def test_volumes_are_told_once_each(tmp_path):
    manifest = read_manifest(write_patients(tmp_path))
    assert list(first_slices(manifest.entries)) == ["p0", "p1", "p2", "p3"]


def test_black_and_white_are_given_or_taken_from_the_voxels_and_not_both(tmp_path, rng):
    save(tmp_path / "a.nii", head(rng))
    manifest = read_manifest(tmp_path / "a.nii")
    with pytest.raises(TedmError, match=r"^--intensity-range=0,100 says .*, and --normalise quantile takes .* leave out one"):
        manifest.require_intensity_range((0.0, 100.0), channels=1, normalisation=Normalisation("quantile", brain="nonzero"))
