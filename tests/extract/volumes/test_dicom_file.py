"""What a file says is checked before it is believed."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings

import numpy as np
import pydicom
import pytest
from dicom_files import dataset, enhanced, read, refusal, save, voxels_of, write_series
from pydicom.data import get_testdata_file

from tedm.errors import TedmError
from tedm.extract.volumes.dicom import read_header


def test_a_file_cut_anywhere_is_refused_before_work(tmp_path):
    whole = write_series(tmp_path / "whole", voxels_of(1))[0].read_bytes()
    for length in range(0, len(whole), 7):
        path = tmp_path / "cut.dcm"
        path.write_bytes(whole[:length])
        with pytest.raises(TedmError) as caught:
            read_header(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MR_truncated.dcm", "cut short, it has 8130 of 8192 bytes"),
        ("examples_palette.dcm", "colours .PALETTE"),
        ("SC_rgb_rle_2frame.dcm", "colours .RGB"),
        ("liver_1frame.dcm", "a DICOM segmentation"),
        ("rtdose.dcm", "an RT dose"),
        ("image_dfl.dcm", "Deflated Explicit VR Little Endian, is not read"),
        ("rtplan.dcm", "without a picture"),
        ("test-SR.dcm", "without a picture"),
        ("no_meta.dcm", "no DICOM file"),
        ("meta_missing_tsyntax.dcm", "does not say its transfer syntax"),
        ("nested_priv_SQ.dcm", "has no picture"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "its compressed picture has"),
        ("README.txt", "no DICOM file"),
    ],
)
def test_pydicoms_own_files_that_are_no_volumes_are_refused(tmp_path, name, message):
    shutil.copy(get_testdata_file(name, download=False), tmp_path / name)
    with pytest.raises(TedmError, match=message):
        read_header(tmp_path / name)


def test_pydicom_is_left_as_it_was(tmp_path):
    write_series(tmp_path, voxels_of(1))
    before = dict(vars(pydicom.config.settings)), list(logging.getLogger("pydicom").filters), list(warnings.filters)
    read(tmp_path)
    assert before == (dict(vars(pydicom.config.settings)), list(logging.getLogger("pydicom").filters), list(warnings.filters))


def test_a_file_of_many_slices_with_places_is_a_volume(tmp_path):
    places = [9.0, 0.0, 6.0, 3.0]
    numbers = voxels_of(4).transpose(2, 1, 0)
    path = save(tmp_path / "enhanced.dcm", enhanced(numbers, places))
    header, voxels = read(path)
    order = np.argsort(places)
    expected = (numbers * (1.0 + np.arange(4))[:, None, None] - 5.0)[order].transpose(2, 1, 0)
    np.testing.assert_array_equal(voxels[..., 0], expected)
    np.testing.assert_array_equal(header.affine, [[-1.5, 0, 0, 20], [0, -2, 0, 10], [0, 0, 3, 0], [0, 0, 0, 1]])
    assert (header.files, header.remarks) == ((path,), ())


def test_a_file_of_many_slices_is_refused_without_their_places(tmp_path):
    numbers = voxels_of(4).transpose(2, 1, 0)
    save(tmp_path / "a" / "film.dcm", dataset(numbers, SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1"))
    assert "4 pictures in one file without a place of each (Ultrasound Multi-frame Image Storage)" in refusal(tmp_path / "a")
    made = enhanced(numbers, [0.0, 3.0, 6.0])
    save(tmp_path / "b" / "fewer.dcm", made)
    assert "says that it has 4 pictures, and where 3 are" in refusal(tmp_path / "b")
    save(tmp_path / "c" / "gap.dcm", enhanced(numbers, [0.0, 3.0, 9.0, 12.0]))
    assert "1 slice missing between picture 2 of gap.dcm and picture 3 of gap.dcm, 6 mm apart" in refusal(tmp_path / "c")


def test_pydicom_that_is_not_there_is_named_with_what_to_install(tmp_path, monkeypatch):
    path = write_series(tmp_path, voxels_of(1))[0]
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert "needs a package that is not installed (pydicom): pip install 'tedm[dicom]'" in refusal(path)


def test_a_pipe_beside_a_series_is_not_opened(tmp_path):
    write_series(tmp_path, voxels_of())
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path)[0].remarks[0].endswith("1 file without slices left out (pipe)")
