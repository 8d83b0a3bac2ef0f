"""A DICOM series is the volume that its files say, or is refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import dataset, read, refusal, save, voxels_of, write_series
from pydicom.data import get_testdata_file

from tedm.errors import TedmError
from tedm.extract.volumes.dicom import (
    looks_like_dicom,
    pictures_in_order,
    read_header,
    read_labels,
    read_voxels,
    stem,
)


def test_a_series_is_read_in_the_order_of_its_places(tmp_path):
    voxels = voxels_of()
    paths = write_series(tmp_path / "scan", voxels)
    header, read_voxels_ = read(tmp_path / "scan")
    np.testing.assert_array_equal(read_voxels_, voxels[..., None])
    assert header.files == tuple(paths) != tuple(sorted(paths))
    assert (header.kind, header.shape, header.channels, header.mode, header.bits, header.white) == (
        *("dicom", (6, 4, 5), 1, "int16", 16, None),
    )
    assert header.remarks == ()
    np.testing.assert_array_equal(header.affine, [[-1.5, 0, 0, 20], [0, -2, 0, 10], [0, 0, 3, 5], [0, 0, 0, 1]])


def test_labels_are_the_stored_numbers_however_they_are_shown(tmp_path):
    write_series(tmp_path, voxels_of(dtype="uint8"), PhotometricInterpretation="MONOCHROME1")
    labels = read_labels(tmp_path, read_header(tmp_path))
    np.testing.assert_array_equal(labels, voxels_of())
    assert labels.dtype == np.int32


def test_labels_that_are_no_whole_numbers_are_refused(tmp_path):
    write_series(tmp_path, voxels_of(), RescaleSlope=0.3, RescaleIntercept=0.0)
    with pytest.raises(TedmError, match="no whole numbers"):
        read_labels(tmp_path, read_header(tmp_path))


def test_a_series_is_refused_that_is_no_volume(tmp_path):
    """Each of these in one line that says what, where, and what to do."""
    one, voxels = voxels_of(1)[:, :, 0].T, voxels_of()
    turned = {"ImageOrientationPatient": [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]}
    cases = {
        "gap": ({"places": [0, 1, 3, 4, 5]}, "1 slice missing between .*, 6 mm apart where 3 mm is usual; copy the whole"),
        "gaps": ({"places": [0, 1, 4, 5, 8]}, "2 slices missing between .*, and 1 more gaps"),
        "early gap": ({"places": [0, 2, 3, 4, 5]}, "1 slice missing"),
        "uneven": ({"places": [0, 1, 2.4, 3.4, 4.4]}, "unevenly spaced, first between"),
        "drift": ({"places": [0, 1, 1.95, 2.95, 3.95]}, "unevenly spaced"),
        "crooked": ({"each": [{}, {}, {"ImagePositionPatient": [-18.0, -10.0, 11.0]}]}, "do not lie along one line .IM0001"),
        "turned": ({"each": [{}, turned]}, "different orientations .*; move"),
        "echoes": ({"places": [0, 1, 1, 2, 3], "each": [{"EchoTime": k} for k in (1, 2, 3)]}, "2.0 and 3.0.: 5 slices at 4"),
        "spacing": ({"each": [{}, {"PixelSpacing": [2.0, 1.6]}]}, "different pixel spacings .*2 x 1.6 mm in"),
        "no spacing": ({"each": [{}, {"PixelSpacing": None}]}, "different pixel spacings .*none in"),
        "zero": ({"PixelSpacing": [0.0, 1.0]}, "PixelSpacing of .* is 0 x 1 mm, too small"),
        "huge": ({"RescaleSlope": "1e300", "RescaleIntercept": 0.0}, "RescaleSlope is 1e300, not 1 number of a usual size"),
        "far": ({"each": [{}, {"ImagePositionPatient": ["1e308", "0", "0"]}]}, "ImagePositionPatient is .*, not 3 numbers"),
        "one spacing": ({"PixelSpacing": [1.0]}, "PixelSpacing"),
        "no place": ({"each": [{}, {"ImagePositionPatient": None}]}, "1 of 5 slices do not say where they are"),
        "no places": ({"ImageOrientationPatient": None}, "5 of 5 slices do not say where"),
        "askew": ({"ImageOrientationPatient": [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]}, "no two directions"),
        "kinds": ({"each": [{}, {"PhotometricInterpretation": "MONOCHROME1"}]}, "slices of different kinds .MONO"),
        "signs": ({"each": [{}, {"PixelRepresentation": 0}]}, "slices of different kinds .*unsigned in"),
        "colours": ({"PhotometricInterpretation": "PALETTE COLOR"}, "colours .PALETTE COLOR. are not read"),
        "slope": ({"RescaleSlope": 0.0, "RescaleIntercept": 1.0}, "RescaleSlope is 0"),
        "bits": ({"BitsStored": 17}, "numbers of 17 in 16 bits"),
        "high": ({"HighBit": 11}, "HighBit is 11 and not 15"),
        "rows": ({"Rows": 0}, "Rows is 0"),
        "short": ({"Rows": 400}, "cut short, it has 48 of 4800 bytes of pixel data"),
        "video": ({"TransferSyntaxUID": "1.2.840.10008.1.2.4.100"}, "transfer syntax, MPEG2 .*, is decoded by no package"),
        "dose": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2"}, "an RT dose"),
        "seg": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "a DICOM segmentation"),
    }  # fmt: skip
    for name, (changes, message) in cases.items():
        write_series(tmp_path / name, voxels, **changes)
        with pytest.raises(TedmError, match=message) as caught:
            read_header(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(str(tmp_path / name)), name
    save(tmp_path / "sizes" / "a.dcm", dataset(one))
    save(tmp_path / "sizes" / "b.dcm", dataset(one[:2], ImagePositionPatient=[-20.0, -10.0, 8.0]))
    assert "slices of different sizes (6 x 4 in a.dcm, 6 x 2 in b.dcm); move" in refusal(tmp_path / "sizes")


def test_random_damage_is_read_or_refused(tmp_path):
    """150 files with up to four bytes changed: never another exception, a warning or a log."""
    sources = [
        get_testdata_file(name) for name in ("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm")
    ]
    own = write_series(tmp_path / "own", voxels_of(1))[0]
    rng = np.random.default_rng(0)
    messages = []
    for number in range(150):
        source = Path(own if number % 2 else sources[number // 2 % 3])
        content = bytearray(source.read_bytes())
        last = len(content) if number % 4 else min(1500, len(content))  # the attributes more often than the pixels
        for at in rng.integers(128, last, rng.integers(1, 5)):
            content[at] = rng.integers(256)
        path = tmp_path / "damaged.dcm"
        path.write_bytes(content)
        try:
            header, voxels = read(path)
            assert voxels.shape == (*header.shape, 1)
        except TedmError as error:
            messages.append(str(error))
    assert 10 < len(messages) < 140
    assert not [message for message in messages if "\n" in message]


def test_a_file_that_has_changed_since_its_header_was_read_is_refused(tmp_path):
    paths = write_series(tmp_path, voxels_of())
    header = read_header(tmp_path)
    save(paths[-1], dataset(voxels_of(1)[:, :, 0].T, ImagePositionPatient=[-20.0, -10.0, 17.02]))
    with pytest.raises(TedmError, match="changed since the work began"):
        read_voxels(tmp_path, header)


def test_what_looks_like_dicom(tmp_path):
    write_series(tmp_path / "scan", voxels_of(1))
    bare = tmp_path / "bare" / "IM1"
    bare.parent.mkdir()
    shutil.copy(next((tmp_path / "scan").iterdir()), bare)
    (tmp_path / "index").mkdir()
    shutil.copy(bare, tmp_path / "index" / "DICOMDIR")
    (tmp_path / "index" / "notes.txt").touch()
    yes = (tmp_path / "scan", bare, bare.parent, tmp_path / "gone.DCM")
    no = (tmp_path, tmp_path / "index", tmp_path / "index" / "DICOMDIR", tmp_path / "index" / "notes.txt", tmp_path / "gone")
    assert [looks_like_dicom(path) for path in (*yes, *no)] == [True] * 4 + [False] * 5
    assert [stem(path) for path in (tmp_path / "scan", bare, Path("a.b.DCM"), Path("1.2.840"))] == [
        "scan",
        "IM1",
        "a.b",
        "1.2.840",
    ]


def test_a_real_series_is_in_the_order_of_its_places(shared):
    folder = shared / "data" / "dicom" / "t1_series"
    header, voxels = read(folder)
    files = sorted((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda each: each.ImagePositionPatient[2])
    np.testing.assert_array_equal(voxels[..., 0], np.stack([each.pixel_array.T for each in files], axis=2))
    for at in (0, 11, 29):
        place = np.array(header.affine) @ [0, 0, at, 1]
        np.testing.assert_allclose(place[:3] * [-1, -1, 1], np.array(files[at].ImagePositionPatient, float), atol=0.01)
    assert [picture.path for picture in pictures_in_order(header.files)] == list(header.files)
