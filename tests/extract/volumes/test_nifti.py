"""NIfTI files are read as nibabel reads them, and everything that is wrong with one is found before its voxels are needed."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.volumes.nifti import read_header, read_labels, read_voxels

AFFINE = np.array([[0, -2.5, 0, 90], [1, 0, 0.25, -126.5], [0, 0, 3, -72.25], [0, 0, 0, 1]])


def save(path: Path, values, *, affine=AFFINE, slope=None, version=1, **fields) -> Path:
    """Write a file whose header says what is wanted, the stored numbers as they are."""
    image = {1: nib.Nifti1Image, 2: nib.Nifti2Image}[version](values, affine, dtype=values.dtype)
    for name, value in fields.items():
        image.header[name] = value
    content = bytearray(image.to_bytes())
    if slope is not None:
        header = type(image.header)(bytes(content[: image.header.sizeof_hdr]), check=False)
        header["scl_slope"], header["scl_inter"] = slope
        content[: header.sizeof_hdr] = header.binaryblock
    path.write_bytes(gzip.compress(content) if path.name.lower().endswith(".gz") else content)
    return path


def refusal(path: Path, **options) -> str:
    with pytest.raises(TedmError) as caught:
        read_header(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("dtype", ["int16", ">i2", "uint8", "uint16", "int8", "int32", "uint32", "int64", "float32", "float64"])
def test_numbers_without_slope_keep_their_type(tmp_path, voxels, name, version, dtype):
    values = np.abs(voxels).clip(0, 127).astype(dtype)
    path = save(tmp_path / name, values, version=version)
    header = read_header(path)
    read = read_voxels(path, header)
    assert read.dtype == np.dtype(dtype).newbyteorder("=")
    assert header.mode == read.dtype.name
    assert header.bits == read.dtype.itemsize * 8
    assert header.white == (np.iinfo(dtype).max if read.dtype.kind == "u" else None)
    assert np.array_equal(read[..., 0], values)
    assert np.array_equal(header.affine, nib.load(path).affine)
    assert (header.kind, header.shape, header.channels, header.files, header.remarks) == ("nifti", (4, 5, 3), 1, (path,), ())
    assert (header.qform_code, header.sform_code) == (0, 2)


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32", "float64", "int64", "int32"])
def test_slope_and_intercept_are_applied_once(tmp_path, voxels, dtype):
    values = np.abs(voxels).clip(0, 127).astype(dtype)
    path = save(tmp_path / "a.nii.gz", values, slope=(0.37, -12.5))
    header = read_header(path)
    read = read_voxels(path, header)
    assert read.dtype == (np.float64 if np.dtype(dtype).itemsize == 8 else np.float32)
    assert (header.mode, header.white) == (read.dtype.name, None)
    assert np.array_equal(read[..., 0], (values * np.float64(np.float32(0.37)) - 12.5).astype(read.dtype))
    assert np.allclose(read[..., 0], nib.load(path).get_fdata())


@pytest.mark.parametrize("slope", [(0, 5), (np.nan, np.nan), (1, 0), (np.inf, 0)])
def test_a_slope_that_says_nothing_changes_nothing(tmp_path, voxels, slope):
    path = save(tmp_path / "a.nii", voxels, slope=slope)
    assert np.array_equal(read_voxels(path, read_header(path))[..., 0], voxels)
    assert read_voxels(path, read_header(path)).dtype == np.int16


def test_nan_stays_nan(tmp_path, voxels):
    values = voxels.astype(np.float32)
    values[1, 2, 0], values[0, 0, 0] = np.nan, np.inf
    for slope in (None, (2, 1)):
        path = save(tmp_path / "a.nii.gz", values, slope=slope)
        read = read_voxels(path, read_header(path))[..., 0]
        assert np.array_equal(read, values if slope is None else values * 2 + 1, equal_nan=True)


def test_numbers_that_a_slope_leads_beyond_all_numbers_are_refused(tmp_path, voxels):
    path = save(tmp_path / "a.nii", voxels, slope=(3e38, 0))
    with pytest.raises(TedmError, match="slope and intercept lead beyond the largest float32"):
        read_voxels(path, read_header(path))


def test_volumes_of_a_4d_file_are_channels_when_asked(tmp_path):
    values = np.arange(4 * 5 * 3 * 2).reshape(4, 5, 3, 2).astype(np.int16)
    path = save(tmp_path / "a.nii.gz", values)
    assert refusal(path) == (
        "a 4D file of 2 volumes; save the one that is meant as a file of its own, or take all of them as channels with "
        "--channels-in-file"
    )
    header = read_header(path, channels=True)
    assert (header.shape, header.channels) == ((4, 5, 3), 2)
    assert np.array_equal(read_voxels(path, header), values)
    with pytest.raises(TedmError, match="a mask of 2 volumes; save one volume of class values"):
        read_labels(path, header)


def test_vectors_of_itk_are_channels_when_asked(tmp_path):
    values = np.arange(4 * 5 * 3 * 2).reshape(4, 5, 3, 1, 2).astype(np.int16)
    path = save(tmp_path / "a.nii", values)
    header = read_header(path, channels=True)
    assert np.array_equal(read_voxels(path, header), values[:, :, :, 0])


@pytest.mark.parametrize("shape", [(4, 5, 3, 1), (4, 5, 3, 1, 1), (4, 5), (4, 5, 1)])
def test_last_axes_of_length_one_are_dropped_and_two_axes_are_one_slice(tmp_path, shape):
    values = np.arange(np.prod(shape)).reshape(shape).astype(np.int16)
    path = save(tmp_path / "a.nii", values)
    header = read_header(path)
    assert header.shape == (4, 5, 3 if len(shape) > 3 else 1)
    assert np.array_equal(read_voxels(path, header).ravel(), values.ravel())


def test_5d_files_are_refused(tmp_path):
    path = save(tmp_path / "a.nii", np.zeros((2, 2, 2, 3, 2), np.int16))
    assert refusal(path, channels=True) == "3 x 2 volumes in one file along 2 axes; save each as a file of its own"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "a volume of colours; save one plain number a voxel"),
        (np.zeros((2, 2, 2), np.complex64), "a volume of complex numbers; save one plain number a voxel"),
        (np.zeros(3, np.int16), "has 1 axes; a volume has three, or two of one slice"),
    ],
)
def test_what_is_no_volume_of_numbers_is_refused(tmp_path, values, said):
    assert refusal(save(tmp_path / "a.nii.gz", values)).startswith(said)


def test_a_file_cut_off_is_found_with_the_header(tmp_path, voxels):
    path = save(tmp_path / "a.nii", voxels)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert refusal(path) == f"cut off, {len(whole) - 1} bytes of {len(whole)} are there; copy or download it again"
    path = tmp_path / "a.nii.gz"
    packed = gzip.compress(whole)
    for missing in (1, 5, 8, 40, len(packed) - 30):  # the last 8 are the checksum and the size
        path.write_bytes(packed[:-missing])
        assert refusal(path) == "cut off, its compressed data has no end; copy or download it again"
    path.write_bytes(packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:])
    assert refusal(path).startswith("damaged, it cannot be decompressed (CRC check failed")
    path.write_bytes(gzip.compress(whole[:-2]))
    assert refusal(path).startswith(f"cut off, {len(whole) - 2} bytes of {len(whole)} are there")


def test_bytes_after_the_voxels_are_said_and_many_of_them_refused(tmp_path, voxels):
    whole = save(tmp_path / "a.nii", voxels).read_bytes()
    for path in (tmp_path / "a.nii", tmp_path / "a.nii.gz"):
        for extra in (3, 2**25):
            path.write_bytes(gzip.compress(whole + bytes(extra), 1) if path.suffix == ".gz" else whole + bytes(extra))
            if extra == 3:
                assert read_header(path).remarks == ("3 bytes follow after the voxels and are not read",)
            else:
                assert refusal(path).startswith("holds far more than the ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a NIfTI file, whatever its name says"),
        (b"PNG" * 300, "not a NIfTI file, whatever its name says"),
        (gzip.compress(b"words " * 200, mtime=0), "not a NIfTI file, whatever its name says"),
        (b"\x1f\x8bnonsense" * 9, "damaged, it cannot be decompressed"),
    ],
)
def test_another_file_of_that_name_is_refused(tmp_path, content, said):
    (tmp_path / "a.nii.gz").write_bytes(content)
    assert refusal(tmp_path / "a.nii.gz").startswith(said)


def test_what_is_not_there_or_a_folder_or_locked_is_named(tmp_path, voxels, monkeypatch):
    assert refusal(tmp_path / "a.nii") == "no such file"
    (tmp_path / "b.nii").mkdir()
    assert refusal(tmp_path / "b.nii") == "a folder, not a NIfTI file"
    (tmp_path / "c.nii").symlink_to("gone.nii")
    assert refusal(tmp_path / "c.nii").startswith("a link to gone.nii, which is not there")


def test_a_compressed_file_may_lack_the_suffix_and_the_other_way_round(tmp_path, voxels):
    (tmp_path / "b.nii").write_bytes(save(tmp_path / "a.nii.gz", voxels).read_bytes())
    (tmp_path / "b.nii.gz").write_bytes(save(tmp_path / "a.nii", voxels).read_bytes())
    for path in (tmp_path / "b.nii", tmp_path / "b.nii.gz"):
        assert np.array_equal(read_voxels(path, read_header(path))[..., 0], voxels)


def test_the_header_of_a_pair_is_refused(tmp_path, voxels):
    nib.save(nib.Nifti1Pair(voxels, AFFINE), tmp_path / "a.img")
    (tmp_path / "a.hdr").rename(tmp_path / "a.nii")
    content = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "a.nii").write_bytes(content.ljust(600, b"\0"))
    assert refusal(tmp_path / "a.nii").startswith("the header of a pair (.hdr, .img), without voxels")


def test_a_header_that_points_into_itself_is_refused(tmp_path, voxels):
    path = save(tmp_path / "a.nii", voxels)
    header = nib.Nifti1Header(path.read_bytes()[:348])
    for offset, said in (
        (0, "says that its voxels begin at byte 0, inside its header"),
        (-400, "cannot be decoded (vox offset"),
    ):
        header["vox_offset"] = offset
        path.write_bytes(header.binaryblock + bytes(4) + voxels.tobytes())
        assert refusal(path).startswith(said)


def test_a_file_without_sform_and_qform_lies_where_nibabel_puts_it_and_says_so(tmp_path, voxels):
    path = save(tmp_path / "a.nii", voxels, affine=None, pixdim=[1, 2, 3, 4, 1, 1, 1, 1])
    header = read_header(path)
    assert (header.qform_code, header.sform_code) == (0, 0)
    assert np.array_equal(header.affine, nib.load(path).affine)
    (remark,) = header.remarks
    assert remark.startswith("says nothing of its orientation (no sform, no qform); taken to have axes L-A-S, 2 x 3 x 4 mm, ")


def test_the_sform_is_taken_and_a_qform_elsewhere_is_said(tmp_path, voxels):
    image = nib.Nifti1Image(voxels, AFFINE)
    other = AFFINE + np.eye(4, k=3) * 5
    image.header.set_sform(AFFINE, 3)
    image.header.set_qform(other, 1)
    path = tmp_path / "a.nii"
    path.write_bytes(nib.Nifti1Image(voxels, None, image.header).to_bytes())
    header = read_header(path)
    assert np.array_equal(header.affine, AFFINE)
    assert (header.qform_code, header.sform_code) == (1, 3)
    (remark,) = header.remarks
    assert remark.startswith("sform and qform lie up to 5.")
    image.header.set_qform(AFFINE * np.array([[1, 1, 0, 1]]) + np.array([[0, 0, 0, 0]] * 2 + [[0, 0, 3, 0], [0] * 4]), 1)
    image.header.set_sform(image.header.get_qform() + np.eye(4, k=3) * 0.02, 3)
    path.write_bytes(nib.Nifti1Image(voxels, None, image.header).to_bytes())
    assert read_header(path).remarks == ()
    image.header["quatern_b"] = 9
    path.write_bytes(nib.Nifti1Image(voxels, None, image.header).to_bytes())
    assert read_header(path).remarks == ("sform and qform contradict each other; the sform is taken",)


def test_a_qform_alone_is_taken(tmp_path, voxels):
    image = nib.Nifti1Image(voxels, None)
    image.header.set_qform(np.diag([-2.0, 3, 4, 1]), 1)
    image.header.set_sform(None, 0)
    path = tmp_path / "a.nii"
    path.write_bytes(image.to_bytes())
    header = read_header(path)
    assert (header.qform_code, header.sform_code, header.remarks) == (1, 0, ())
    assert np.allclose(header.affine, np.diag([-2.0, 3, 4, 1]))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_an_affine_that_gives_no_places_is_refused(tmp_path, voxels, value):
    path = save(tmp_path / "a.nii", voxels)
    header = nib.Nifti1Header(path.read_bytes()[:348])
    header["srow_z"] = [0, 0, value, 0]
    path.write_bytes(header.binaryblock + bytes(4) + voxels.tobytes())
    said = refusal(path)
    assert said.startswith("its affine (sform) ")
    assert "not finite" in said or "singular" in said


def test_micrometres_become_millimetres(tmp_path, voxels):
    path = save(tmp_path / "a.nii", voxels, affine=np.diag([500.0, 400, 300, 1]), xyzt_units=3)
    header = read_header(path)
    assert np.allclose(header.affine, np.diag([0.5, 0.4, 0.3, 1]))
    assert header.remarks == (
        "its affine is in microns; in millimetres: axes R-A-S, 0.5 x 0.4 x 0.3 mm, first voxel at 0, 0, 0",
    )


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64", "uint32"])
@pytest.mark.parametrize("slope", [None, (0.1, 0), (2, -3)])
def test_a_mask_is_whole_numbers_whatever_its_type(tmp_path, dtype, slope):
    labels = np.array([0, 3, 3, 1, 0, 7] * 2).reshape(2, 3, 2)
    stored, expected = {None: (1, labels), (0.1, 0): (10, labels), (2, -3): (1, labels * 2 - 3)}[slope]
    path = save(tmp_path / "a.nii.gz", (labels * stored).astype(dtype), slope=slope)
    read = read_labels(path, read_header(path))
    assert read.dtype == np.int32
    assert np.array_equal(read, expected)


@pytest.mark.parametrize(
    ("values", "slope", "said"),
    [
        (np.array([0, 0.5]), None, "no whole numbers"),
        (np.array([0, np.nan], np.float32), None, "no whole numbers"),
        (np.array([0, 1], np.uint8), (0.5, 0), "no whole numbers"),
        (np.array([0, 3], np.uint8), (1.00001, 0), "no whole numbers"),
        (np.array([0, 2**31], np.uint32), None, "beyond 32 bits"),
        (np.array([0, 2**14], np.int16), (2.0**20, 0), "beyond 32 bits"),
    ],
)
def test_a_mask_of_other_numbers_is_refused(tmp_path, values, slope, said):
    path = save(tmp_path / "a.nii", values.reshape(2, 1, 1), slope=slope)
    with pytest.raises(TedmError, match=rf"a\.nii: a mask with values.*{said}"):
        read_labels(path, read_header(path))


def test_a_file_that_changed_meanwhile_is_refused(tmp_path, voxels):
    path = save(tmp_path / "a.nii", voxels)
    header = read_header(path)
    save(path, voxels[:-1])
    for read in (read_voxels, read_labels):
        with pytest.raises(TedmError, match="has changed since the work began"):
            read(path, header)


def test_without_nibabel_it_is_said_what_to_install(tmp_path, voxels, monkeypatch):
    path = save(tmp_path / "a.nii", voxels)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(TedmError) as caught:
        read_header(path)
    assert str(caught.value) == f"{path} needs a package that is not installed (nibabel): pip install 'tedm[volumes]'"


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_damage_is_refused_in_one_line(tmp_path, voxels, damaged, name, capfd):
    assert damaged(save(tmp_path / name, voxels, slope=(2, 1)), 200) > 20
    assert capfd.readouterr() == ("", "")


def test_real_volumes_are_read_as_nibabel_reads_them(shared):
    data = shared / "data"
    for path in ("tumour/pat0005/t1gd.nii.gz", "hippocampus/images/hippocampus_190.nii.gz"):
        header = read_header(data / path)
        read = read_voxels(data / path, header)
        image = nib.load(data / path)
        assert header.shape == image.shape
        assert np.array_equal(header.affine, image.affine)
        assert np.allclose(read[..., 0], image.get_fdata(), rtol=1e-6, atol=1e-6)
