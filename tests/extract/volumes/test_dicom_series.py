"""Which files are a series, and what is said of the others."""

from __future__ import annotations

import shutil

import numpy as np
from dicom_files import dataset, read, refusal, save, voxels_of, write_series
from pydicom.data import get_testdata_file

from tedm.extract.volumes.dicom import (
    read_header,
)


def test_a_file_of_a_series_is_the_series(tmp_path):
    write_series(tmp_path / "scan", voxels_of())
    write_series(tmp_path / "other", voxels_of(3) + 1, SeriesInstanceUID="1.2.5")
    for path in list((tmp_path / "other").iterdir()):
        shutil.move(path, tmp_path / "scan" / f"o{path.name}")
    files = sorted((tmp_path / "scan").glob("IM*"))
    header, voxels = read(files[3])
    np.testing.assert_array_equal(voxels[..., 0], voxels_of())
    assert set(header.files) == set(files)
    assert read_header(tmp_path / "scan" / "oIM0000.dcm").shape == (6, 4, 3)


def test_what_is_no_slice_is_left_out_and_named(tmp_path):
    write_series(tmp_path / "scan", voxels_of())
    (tmp_path / "scan" / "README.txt").write_text("scanned on a Monday")
    (tmp_path / "scan" / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "scan" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    shutil.copy(get_testdata_file("test-SR.dcm"), tmp_path / "scan" / "report.dcm")
    scout = dataset(
        voxels_of(1)[:, :, 0].T, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=[0, 1, 0, 0, 0, -1]
    )
    save(tmp_path / "scan" / "scout.dcm", scout)
    header, voxels = read(tmp_path / "scan")
    np.testing.assert_array_equal(voxels[..., 0], voxels_of())
    assert header.remarks == (
        "scan: 1 localizer left out (scout.dcm)",
        "scan: 3 files without slices left out (DICOMDIR, README.txt, report.dcm)",
    )
    assert read_header(tmp_path / "scan" / "scout.dcm").shape == (6, 4, 1)


def test_a_folder_that_is_no_series_is_refused(tmp_path):
    write_series(tmp_path / "two", voxels_of(), SeriesDescription="T1")
    save(
        tmp_path / "two" / "z.dcm",
        dataset(voxels_of(1)[:, :, 0].T, SeriesInstanceUID="1.2.3.99", SeriesDescription="\x1b[31mT2"),
    )
    said = refusal(tmp_path / "two")
    assert (
        'files of 2 series ("T1" UID ending .8.498.1: 5 files as IM0000.dcm, "\\x1b[31mT2" UID ending 1.2.3.99: 1 file' in said
    )
    (tmp_path / "empty").mkdir()
    assert "no DICOM files with pictures in it (it is empty)" in refusal(tmp_path / "empty")
    (tmp_path / "empty" / "deeper").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    assert "(1 other file: notes.txt; 1 folder: deeper); name the folder of a series" in refusal(tmp_path / "empty")
    assert "no such file" in refusal(tmp_path / "nowhere.dcm")
    write_series(tmp_path / "damaged", voxels_of())
    (tmp_path / "damaged" / "IM0002.dcm").write_bytes(b"")
    assert "IM0002.dcm: is cut short, it is empty; copy it again" in refusal(tmp_path / "damaged")
    assert "IM0002.dcm: is cut short, it is empty" in refusal(tmp_path / "damaged" / "IM0001.dcm")
