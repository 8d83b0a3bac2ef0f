"""A DICOM series is the volume that its files say, or is refused in one line."""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

from dicom_files import dataset, save, voxels_of, write_series  # noqa: E402
from pydicom.data import get_testdata_file  # noqa: E402

from tedm.errors import TedmError  # noqa: E402
from tedm.extract.volumes.dicom import (  # noqa: E402
    looks_like_dicom,
    pictures_in_order,
    read_header,
    read_labels,
    read_voxels,
    stem,
)


def read(path):
    header = read_header(path)
    return header, read_voxels(path, header)


def refusal(path) -> str:
    with pytest.raises(TedmError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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


def test_labels_are_the_stored_numbers_however_they_are_shown(tmp_path):
    write_series(tmp_path, voxels_of(dtype="uint8"), PhotometricInterpretation="MONOCHROME1")
    labels = read_labels(tmp_path, read_header(tmp_path))
    np.testing.assert_array_equal(labels, voxels_of())
    assert labels.dtype == np.int32


def test_labels_that_are_no_whole_numbers_are_refused(tmp_path):
    write_series(tmp_path, voxels_of(), RescaleSlope=0.3, RescaleIntercept=0.0)
    with pytest.raises(TedmError, match="no whole numbers"):
        read_labels(tmp_path, read_header(tmp_path))


def test_pixels_outside_of_the_picture_stay_and_are_said(tmp_path):
    write_series(tmp_path, voxels_of(), PixelPaddingValue=-2000)
    header, voxels = read(tmp_path)
    np.testing.assert_array_equal(voxels[..., 0], voxels_of())
    assert "PixelPaddingValue -2000" in header.remarks[0]


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


def test_a_slice_that_is_there_twice_is_read_once(tmp_path):
    paths = write_series(tmp_path, voxels_of())
    shutil.copy(paths[2], tmp_path / "again.dcm")
    header, voxels = read(tmp_path)
    np.testing.assert_array_equal(voxels[..., 0], voxels_of())
    assert "1 slice there twice with the same pixels, read once" in header.remarks[0]
    assert len(header.files) == 5


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
        "zero": ({"PixelSpacing": [0.0, 1.0]}, "PixelSpacing of .* not above 0"),
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


def test_a_file_cut_anywhere_is_refused_before_work(tmp_path):
    whole = write_series(tmp_path / "whole", voxels_of(1))[0].read_bytes()
    for length in range(0, len(whole), 7):
        path = tmp_path / "cut.dcm"
        path.write_bytes(whole[:length])
        with pytest.raises(TedmError) as caught:
            read_header(path)
        assert "\n" not in str(caught.value)


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


@pytest.mark.parametrize("name", ["MR_small.dcm", "CT_small.dcm", "JPEG2000.dcm", "693_J2KI.dcm", "MR_small_RLE.dcm",
                                  "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_padded.dcm",
                                  "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "J2K_pixelrep_mismatch.dcm",
                                  "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "examples_overlay.dcm"])  # fmt: skip
def test_pydicoms_own_files_have_pydicoms_own_values(tmp_path, name, caplog):
    path = tmp_path / name
    shutil.copy(get_testdata_file(name, download=False), path)
    with caplog.at_level(logging.DEBUG):
        _, voxels = read(path)
    assert not caplog.records
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pydicom.dcmread(path)
        values = made.pixel_array * float(made.get("RescaleSlope", 1)) + float(made.get("RescaleIntercept", 0))
    np.testing.assert_array_equal(voxels[:, :, 0, 0], values.T)


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


def test_a_real_series_is_in_the_order_of_its_places(shared):
    folder = shared / "data" / "dicom" / "t1_series"
    header, voxels = read(folder)
    files = sorted((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda each: each.ImagePositionPatient[2])
    np.testing.assert_array_equal(voxels[..., 0], np.stack([each.pixel_array.T for each in files], axis=2))
    for at in (0, 11, 29):
        place = np.array(header.affine) @ [0, 0, at, 1]
        np.testing.assert_allclose(place[:3] * [-1, -1, 1], np.array(files[at].ImagePositionPatient, float), atol=0.01)
    assert [picture.path for picture in pictures_in_order(header.files)] == list(header.files)


def test_compressed_files_have_the_values_that_their_decoders_give(shared, tmp_path):
    import imagecodecs
    from pydicom.encaps import get_frame

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
