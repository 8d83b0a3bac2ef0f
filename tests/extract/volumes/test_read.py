"""A path says who reads it; two volumes that do not lie upon each other are told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.volumes import nifti, read
from tedm.extract.volumes.read import (
    KINDS,
    Kind,
    is_volume,
    read_header,
    read_labels,
    read_voxels,
    shape_problem,
    volume_stem,
)
from tedm.extract.volumes.space import matrix_of


@pytest.fixture
def header(tmp_path, voxels):
    nib.save(nib.Nifti1Image(voxels, np.diag([-1.0, 2, 3, 1])), tmp_path / "a.nii.gz")
    return read_header(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("in/sub-1.nii.gz", "sub-1"),
        ("in/Sub-1.NII.GZ", "Sub-1"),
        ("in/sub-1.v2.nii", "sub-1.v2"),
        ("in/sub-1.nrrd", "sub-1"),
        ("in/sub-1.seg.nrrd", "sub-1.seg"),
        ("in/sub-1.nhdr", "sub-1"),
    ],
)
def test_a_volume_is_known_by_its_suffix(path, stem):
    assert is_volume(Path(path))
    assert volume_stem(Path(path)) == stem


@pytest.mark.parametrize("path", ["a.png", "a.gz", ".nii.gz", ".nii", "a.nii.txt", "nii"])
def test_other_files_are_no_volumes(path):
    assert not is_volume(Path(path))


def test_a_folder_is_no_volume_whatever_its_name(tmp_path):
    (tmp_path / "a.nii").mkdir()
    assert not is_volume(tmp_path / "a.nii")
    assert not is_volume(tmp_path)


def test_each_kind_is_read_by_its_reader(tmp_path, voxels):
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii.gz")
    nrrd.write(str(tmp_path / "b.nrrd"), voxels)
    for path, kind in ((tmp_path / "a.nii.gz", "nifti"), (tmp_path / "b.nrrd", "nrrd")):
        header = read_header(path)
        assert header.kind == kind
        assert np.array_equal(read_voxels(path, header)[..., 0], voxels)
        assert np.array_equal(read_labels(path, header), voxels)


def test_what_nobody_reads_is_refused_with_what_is_read(tmp_path):
    (tmp_path / "a.mha").touch()
    with pytest.raises(TedmError) as caught:
        read_header(tmp_path / "a.mha")
    assert str(caught.value) == (
        f"{tmp_path / 'a.mha'}: no volume of a kind that is read; NIfTI, NRRD and DICOM are "
        "(.nii, .nii.gz, .nrrd, .nhdr, .dcm, .dicom, .ima)"
    )
    with pytest.raises(TedmError, match=r"b\.mha: no such file"):
        read_header(tmp_path / "b.mha")
    with pytest.raises(TedmError, match=r": a folder, not a volume that is read"):
        read_header(tmp_path)


def test_a_kind_joins_by_an_entry(tmp_path, header, monkeypatch):
    """As folders of DICOM do: known by what is in them, called as their reader says."""

    class Folders:
        SUFFIXES = (".dcm",)

        def read_header(self, path, *, channels=False):
            return replace(header, files=(path,))

    kind = Kind("DICOM", Folders(), Path.is_dir, lambda path: path.name)
    monkeypatch.setattr(read, "KINDS", (*KINDS, kind))
    (tmp_path / "series.1").mkdir()
    assert is_volume(tmp_path / "series.1")
    assert volume_stem(tmp_path / "series.1") == "series.1"
    assert read_header(tmp_path / "series.1").files == (tmp_path / "series.1",)


def moved(header, change):
    affine = np.array(header.affine)
    affine[change[0]] += change[1]
    return replace(header, affine=matrix_of(affine))


@pytest.mark.parametrize(("change", "fits"), [(((0, 3), 0.0999), True), (((0, 3), 0.11), False), (((0, 0), 0.04), False)])
def test_volumes_lie_upon_each_other_within_a_tenth_of_a_voxel(header, change, fits):
    problem = shape_problem(header, "image a.nii", moved(header, change), "mask b.nii")
    assert (problem is None) == fits


def test_other_places_are_said_with_both(header):
    problem = shape_problem(header, "image a.nii", moved(header, ((2, 3), 12.5)), "mask b.nii")
    assert problem == (
        "image a.nii and mask b.nii lie up to 12.5 mm apart (axes L-A-S, 1 x 2 x 3 mm, first voxel at 0, 0, 0; "
        "axes L-A-S, 1 x 2 x 3 mm, first voxel at 0, 0, 12.5); resample one to the other, or mend the header that is wrong"
    )


def test_other_shapes_are_said_with_both(header):
    problem = shape_problem(header, "image a.nii", replace(header, shape=(4, 3, 5)), "mask b.nii")
    assert problem == "image a.nii has 4 x 5 x 3 voxels and mask b.nii 4 x 3 x 5; resample one to the other"


def test_another_kind_or_number_of_channels_is_no_problem(header):
    assert shape_problem(header, "a", replace(header, channels=4, kind="nrrd", sform_code=0), "b") is None


def test_a_file_is_decompressed_for_its_header_once_and_again_when_it_changes(tmp_path, monkeypatch):
    path, asked = tmp_path / "a.nii.gz", []
    nib.save(nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.eye(4)), path)
    original = nifti.read_header
    monkeypatch.setattr(nifti, "read_header", lambda path, **how: asked.append(path) or original(path, **how))
    assert read_header(path) == read_header(path)
    assert len(asked) == 1
    nib.save(nib.Nifti1Image(np.zeros((2, 3, 5), np.uint8), np.eye(4)), path)
    assert read_header(path).shape == (2, 3, 5)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TedmError, match="cut off"):
        read_header(path)
