"""Slices are in the order of their places, and their affine is where they are."""

from __future__ import annotations

import shutil

import numpy as np
from dicom_files import dataset, read, save, voxels_of, write_series

from tedm.extract.volumes.dicom import (
    read_header,
)


def test_slices_along_any_normal_have_their_affine(tmp_path):
    row, column = np.array([0.36, 0.48, -0.8]), np.array([-0.8, 0.6, 0.0])
    normal = np.cross(row, column)
    write_series(
        tmp_path, voxels_of(), ImageOrientationPatient=[*row, *column], step=-2.5 * normal, ImagePositionPatient=[3.0, 4.0, 5.0]
    )
    header, voxels = read(tmp_path)
    np.testing.assert_array_equal(voxels[..., 0], voxels_of()[..., ::-1])  # the other way along the normal
    affine = np.array(header.affine)
    lps = np.diag([-1, -1, 1, 1]) @ affine
    np.testing.assert_allclose(lps[:3, :3], np.stack([1.5 * row, 2 * column, 2.5 * normal], axis=1), atol=1e-6)
    np.testing.assert_allclose(lps @ [0, 0, 4, 1], [3, 4, 5, 1], atol=1e-6)
    assert np.linalg.det(affine[:3, :3]) > 0


def test_a_tilted_gantry_is_a_shear_that_is_said(tmp_path):
    write_series(tmp_path, voxels_of(), step=(0.0, 1.0, 3.0))
    header, _ = read(tmp_path)
    np.testing.assert_allclose(np.array(header.affine)[:3, 2], [0, -1, 3])
    assert "slanted by 18.4 degrees" in header.remarks[0]


def test_one_picture_without_a_place_is_a_volume_of_one_slice(tmp_path):
    path = save(
        tmp_path / "xray.dcm",
        dataset(voxels_of(1)[:, :, 0].T, ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None,
                SliceThickness=None),
    )  # fmt: skip
    header, voxels = read(path)
    assert voxels.shape == (6, 4, 1, 1)
    np.testing.assert_array_equal(header.affine, np.diag([-1.0, -1.0, 1.0, 1.0]))
    assert [remark.split(": ")[1] for remark in header.remarks] == [
        "no PixelSpacing; 1 mm is assumed",
        "does not say where it is in the patient; taken as an axial slice",
        "one slice that does not say how thick it is; 1 mm is assumed",
    ]


def test_places_that_are_rounded_are_even(tmp_path):
    places = [round(0.6667 * at, 2) / 3 for at in range(5)]
    write_series(tmp_path, voxels_of(), places=places)
    assert read_header(tmp_path).shape == (6, 4, 5)


def test_a_slice_that_is_there_twice_is_read_once(tmp_path):
    paths = write_series(tmp_path, voxels_of())
    shutil.copy(paths[2], tmp_path / "again.dcm")
    header, voxels = read(tmp_path)
    np.testing.assert_array_equal(voxels[..., 0], voxels_of())
    assert "1 slice there twice with the same pixels, read once" in header.remarks[0]
    assert len(header.files) == 5
