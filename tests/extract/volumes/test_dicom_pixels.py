"""Numbers are those that pydicom and the decoders give, and mean what the file says."""

from __future__ import annotations

import logging
import shutil
import warnings

import imagecodecs
import numpy as np
import pydicom
import pytest
from dicom_files import dataset, read, refusal, save, voxels_of, write_series
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import get_decoder
from pydicom.uid import JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless

from tedm.errors import TedmError
from tedm.extract.volumes.dicom import read_header
from tedm.extract.volumes.dicom_pixels import compressed_size


def test_each_slice_is_rescaled_by_its_own_numbers_once(tmp_path):
    scales = [{"RescaleSlope": 0.5 + at, "RescaleIntercept": -1000.0 + at} for at in range(5)]
    write_series(tmp_path, voxels_of(), each=scales)
    header, voxels = read(tmp_path)
    slopes, intercepts = np.arange(5) + 0.5, np.arange(5) - 1000.0
    np.testing.assert_array_equal(voxels[..., 0], (voxels_of() * slopes + intercepts).astype(np.float32))
    assert (header.mode, voxels.dtype, header.white) == ("float32", np.float32, None)


def test_a_slope_of_one_leaves_integers_and_their_white(tmp_path):
    write_series(tmp_path, voxels_of(dtype="uint16"), RescaleSlope=1.0, RescaleIntercept=0.0, BitsStored=12)
    header, voxels = read(tmp_path)
    assert (header.mode, voxels.dtype, header.bits, header.white) == ("uint16", np.uint16, 12, 4095.0)


def test_windows_are_not_applied(tmp_path):
    write_series(tmp_path, voxels_of(), WindowCenter=40, WindowWidth=2)
    np.testing.assert_array_equal(read(tmp_path)[1][..., 0], voxels_of())


def test_bits_beyond_those_stored_are_no_part_of_a_number(tmp_path):
    voxels = voxels_of(dtype="uint16")
    write_series(tmp_path / "unsigned", voxels | 0x3000, BitsStored=12)
    np.testing.assert_array_equal(read(tmp_path / "unsigned")[1][..., 0], voxels)
    signed = voxels_of() - 50
    write_series(tmp_path / "signed", signed & 0x0FFF, BitsStored=12)
    np.testing.assert_array_equal(read(tmp_path / "signed")[1][..., 0], signed)


@pytest.mark.parametrize(
    ("dtype", "changes", "turned"),
    [
        ("uint16", {"BitsStored": 12}, lambda values: 4095 - values),
        ("uint8", {}, lambda values: 255 - values),
        ("int16", {}, lambda values: -1 - values),
        ("int16", {"RescaleSlope": 2.0, "RescaleIntercept": -10.0}, lambda values: 10.0 - 2.0 * values),
    ],
)
def test_large_is_bright_after_reading(tmp_path, dtype, changes, turned):
    write_series(tmp_path, voxels_of(dtype=dtype), PhotometricInterpretation="MONOCHROME1", **changes)
    header, voxels = read(tmp_path)
    np.testing.assert_array_equal(voxels[..., 0], turned(voxels_of().astype(float)))
    assert "MONOCHROME1" in header.remarks[0]
    assert voxels.dtype == np.dtype("float32" if "RescaleSlope" in changes else dtype)


def test_pixels_outside_of_the_picture_stay_and_are_said(tmp_path):
    write_series(tmp_path, voxels_of(), PixelPaddingValue=-2000)
    header, voxels = read(tmp_path)
    np.testing.assert_array_equal(voxels[..., 0], voxels_of())
    assert "PixelPaddingValue -2000" in header.remarks[0]


OWN = (
    *("MR_small", "CT_small", "JPEG2000", "693_J2KI", "MR_small_RLE", "MR_small_bigendian", "MR_small_implicit"),
    *("MR_small_padded", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "J2K_pixelrep_mismatch"),
    *("JPEGLSNearLossless_08", "JPEGLSNearLossless_16", "examples_overlay"),
)


@pytest.mark.parametrize("name", OWN)
def test_pydicoms_own_files_have_pydicoms_own_values(tmp_path, name, caplog):
    path = tmp_path / f"{name}.dcm"
    shutil.copy(get_testdata_file(path.name, download=False), path)
    with caplog.at_level(logging.DEBUG):
        _, voxels = read(path)
    assert not caplog.records
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pydicom.dcmread(path)
        values = made.pixel_array * float(made.get("RescaleSlope", 1)) + float(made.get("RescaleIntercept", 0))
    np.testing.assert_array_equal(voxels[:, :, 0, 0], values.T)


def test_compressed_files_have_the_values_that_their_decoders_give(shared, tmp_path):
    for name in ("jp2k1", "jp2k2", "jpg1", "jpg2"):
        path = tmp_path / name / f"{name}.dcm"
        path.parent.mkdir()
        shutil.copy(shared / "data" / "dicom" / "compressed" / path.name, path)
        header, voxels = read(path)
        made = pydicom.dcmread(path)
        frame = get_frame(made.PixelData, 0, number_of_frames=1)
        values = made.pixel_array if "2k" in name else imagecodecs.ljpeg_decode(frame)
        np.testing.assert_array_equal(voxels[:, :, 0, 0], values.T)
        assert "a mosaic" in header.remarks[0]
    assert "two slices at one place with other pixels (jp2k1.dcm and jp2k2.dcm; AcquisitionNumber 1 and 2)" in refusal(
        shared / "data" / "dicom" / "compressed" / "jp2k1.dcm"
    )
    assert "files of 2 series" in refusal(shared / "data" / "dicom" / "compressed")


@pytest.mark.parametrize("name", ["JPGExtended", "JPEG-lossy"])
def test_jpeg_of_twelve_bits_is_decoded(tmp_path, name):
    path = tmp_path / f"{name}.dcm"
    shutil.copy(get_testdata_file(path.name, download=False), path)
    header, voxels = read(path)
    frame = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    np.testing.assert_array_equal(voxels[:, :, 0, 0], imagecodecs.jpeg8_decode(frame).T)
    assert (header.white, int(voxels.max())) == (4095.0, 264)


def test_signed_lossless_jpeg_keeps_its_sign(tmp_path):
    numbers = np.arange(-12, 12, dtype="int16").reshape(4, 6)
    made = dataset(numbers, TransferSyntaxUID=JPEGLosslessSV1)
    made.PixelData = encapsulate([imagecodecs.ljpeg_encode(numbers.view("uint16"), bitspersample=16)])
    path = save(tmp_path / "signed.dcm", made)
    np.testing.assert_array_equal(read(path)[1][:, :, 0, 0], numbers.T)


@pytest.mark.parametrize(
    ("syntax", "install"),
    [
        (JPEGLSLossless, "JPEG-LS .*pip install 'tedm.dicom.', or save"),
        (JPEGBaseline8Bit, "JPEG Baseline .*pip install pylibjpeg pylibjpeg-libjpeg, or save"),
    ],
)
def test_a_transfer_syntax_without_a_decoder_is_refused_with_what_to_install(tmp_path, monkeypatch, syntax, install):
    path = save(tmp_path / "a.dcm", dataset(voxels_of(1, "uint8")[:, :, 0].T, TransferSyntaxUID=syntax))
    monkeypatch.setattr(get_decoder(syntax), "_available", {})
    with pytest.raises(TedmError, match=install):
        read_header(path)


def test_a_picture_of_another_size_than_the_file_says_is_refused_before_it_is_decoded(tmp_path):
    """A kilobyte may say that it is a picture of gigabytes."""
    path = tmp_path / "bomb.dcm"
    made = pydicom.dcmread(get_testdata_file("MR_small_jp2klossless.dcm", download=False))
    frame = bytearray(get_frame(made.PixelData, 0, number_of_frames=1))
    frame[8:12] = (60000).to_bytes(4, "big")
    made.PixelData = encapsulate([bytes(frame)])
    made.save_as(path)
    with pytest.raises(TedmError, match="compressed picture has 64 x 60000 pixels, and the file says 64 x 64"):
        read_header(path)
    endless = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0" + b"abcd" + b"\0\0\0\x10jp2c" + bytes(frame)
    assert compressed_size(endless) is None
    assert compressed_size(endless.replace(b"\0\0\0\0abcd", b"\0\0\0\x08abcd")) == (64, 60000)


def test_what_decoders_say_of_damage_is_one_line_and_no_log(tmp_path, caplog):
    path = tmp_path / "damaged.dcm"
    made = pydicom.dcmread(get_testdata_file("MR_small_jpeg_ls_lossless.dcm", download=False))
    frame = get_frame(made.PixelData, 0, number_of_frames=1)
    made.PixelData = encapsulate([frame[:100] + bytes(200)])
    made.save_as(path)
    with caplog.at_level(logging.DEBUG):
        assert "cannot be decoded" in refusal(path)
    assert not caplog.records
