"""NRRD files in every space and encoding that we take are one volume; the others are refused in one line."""

from __future__ import annotations

import bz2
import gzip
import sys
from pathlib import Path

import nrrd
import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.volumes.nrrd import read_header, read_labels, read_voxels

AFFINE = np.array([[0, -2.5, 0, 90], [1, 0, 0.25, -126.5], [0, 0, 3, -72.25], [0, 0, 0, 1]])
TO_SPACE = {
    "right-anterior-superior": (1, 1, 1),
    "RAS": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "LAS": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "LPS": (-1, -1, 1),
}


def located(space: str, **more) -> dict:
    """Fields that say where a volume with the affine lies, in a space."""
    inside = np.diag(TO_SPACE.get(space, (-1, -1, 1))) @ AFFINE[:3]
    return {"space": space, "space directions": inside[:, :3].T, "space origin": inside[:, 3], **more}


def save(path: Path, values, fields: dict) -> Path:
    nrrd.write(str(path), values, dict(fields))
    return path


def refusal(path: Path, **options) -> str:
    with pytest.raises(TedmError) as caught:
        read_header(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def rewritten(path: Path, old: bytes, new: bytes) -> Path:
    head, end, data = path.read_bytes().partition(b"\n\n")
    assert old in head
    path.write_bytes(head.replace(old, new) + end + data)
    return path


@pytest.mark.parametrize("space", TO_SPACE)
def test_every_space_leads_to_the_same_place(tmp_path, voxels, space):
    path = save(tmp_path / "a.nrrd", voxels, located(space))
    header = read_header(path)
    assert np.array_equal(header.affine, AFFINE)
    assert (header.kind, header.shape, header.channels, header.remarks) == ("nrrd", (4, 5, 3), 1, ())
    assert np.array_equal(read_voxels(path, header)[..., 0], voxels)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "A.NRRD"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", ">i2", "uint32", "float32", "float64", "int64"])
def test_every_encoding_and_type_is_read_with_the_header_attached_or_not(tmp_path, voxels, encoding, name, dtype):
    values = np.abs(voxels).clip(0, 255).astype(dtype)
    path = save(tmp_path / name, values, located("LPS", encoding=encoding))
    header = read_header(path)
    read = read_voxels(path, header)
    assert read.dtype == np.dtype(dtype).newbyteorder("=")
    assert (header.mode, header.bits) == (read.dtype.name, read.dtype.itemsize * 8)
    assert header.white == (np.iinfo(dtype).max if read.dtype.kind == "u" else None)
    assert np.array_equal(read[..., 0], values)
    assert np.array_equal(read_labels(path, header), values)
    assert len(header.files) == (2 if name == "a.nhdr" else 1)
    assert all(each.is_file() for each in header.files)


@pytest.mark.parametrize("kind", ["list", "vector", "time"])
@pytest.mark.parametrize("at", range(4))
def test_an_axis_that_is_not_of_space_is_that_of_the_channels_wherever_it_stands(tmp_path, kind, at):
    values = np.arange(4 * 5 * 3 * 2).reshape(4, 5, 3, 2).astype(np.int16)
    fields = located("LPS", kinds=["domain"] * 3)
    fields["kinds"].insert(at, kind)
    fields["space directions"] = np.insert(fields["space directions"], at, np.nan, axis=0)
    path = save(tmp_path / "a.nrrd", np.moveaxis(values, 3, at), fields)
    assert "4D file of 2 volumes" in refusal(path)
    header = read_header(path, channels=True)
    assert (header.shape, header.channels) == ((4, 5, 3), 2)
    assert np.array_equal(header.affine, AFFINE)
    assert np.array_equal(read_voxels(path, header), values)
    single = save(tmp_path / "b.nrrd", np.moveaxis(values[..., :1], 3, at), fields)
    assert np.array_equal(read_voxels(single, read_header(single)), values[..., :1])
    with pytest.raises(TedmError, match="a mask of 2 volumes"):
        read_labels(path, header)


def test_nan_stays_nan(tmp_path, voxels):
    values = voxels.astype(np.float32)
    values[1, 2, 0] = np.nan
    path = save(tmp_path / "a.nrrd", values, located("LPS"))
    assert np.array_equal(read_voxels(path, read_header(path))[..., 0], values, equal_nan=True)
    with pytest.raises(TedmError, match="no whole numbers"):
        read_labels(path, read_header(path))


@pytest.mark.parametrize(
    ("fields", "remark", "spacing"),
    [
        ({}, "says nothing of its spacing; taken as 1 mm", (1, 1, 1)),
        ({"spacings": [2.0, 3.0, 4.0]}, "says nothing of its orientation; taken to have axes L-P-S, 2 x 3 x 4 mm", (2, 3, 4)),
        ({"space": "3D-right-handed", "space directions": np.diag([2.0, 3, 4])}, "its space (3d-right-handed) does", (2, 3, 4)),
        ({"space dimension": 3, "space directions": np.diag([2.0, 3, 4])}, "says nothing of its orientation", (2, 3, 4)),
    ],
)
def test_what_a_header_does_not_say_is_taken_as_itk_takes_it_and_said(tmp_path, voxels, fields, remark, spacing):
    header = read_header(save(tmp_path / "a.nrrd", voxels, fields))
    assert any(said.startswith(remark) for said in header.remarks)
    assert np.allclose(header.affine, np.diag([-spacing[0], -spacing[1], spacing[2], 1]))


def test_other_units_become_millimetres(tmp_path, voxels):
    fields = located("LPS", **{"space units": ["cm", "cm", "cm"]})
    header = read_header(save(tmp_path / "a.nrrd", voxels, fields))
    assert np.allclose(np.array(header.affine)[:3], AFFINE[:3] * 10)
    assert header.remarks[0].startswith("its affine is in other units; in millimetres: axes A-L-S, 10 x 25 x ")
    path = rewritten(tmp_path / "a.nrrd", b'"cm" "cm" "cm"', '"\u00b5m" "\u00b5m" "\u00b5m"'.encode())
    assert np.allclose(np.array(read_header(path).affine)[:3], AFFINE[:3] / 1000)
    path = rewritten(path, '"\u00b5m" "\u00b5m" "\u00b5m"'.encode(), b'"mm" "ell" "mm"')
    assert read_header(path).remarks == ("its units of space (ell, mm) are taken as millimetres",)


def test_two_axes_are_one_slice(tmp_path, voxels):
    fields = {"space": "LPS", "space directions": np.array([[2.0, 0, 0], [0, 0, -3.0]]), "space origin": np.array([1.0, 2, 3])}
    path = save(tmp_path / "a.nrrd", voxels[..., 0], fields)
    header = read_header(path)
    assert header.shape == (4, 5, 1)
    assert np.allclose(header.affine, [[-2, 0, 0, -1], [0, 0, -1, -2], [0, -3, 0, 3], [0, 0, 0, 1]])
    assert header.remarks == ("is a single slice; taken to be 1 mm thick",)
    assert np.array_equal(read_voxels(path, header)[..., 0, 0], voxels[..., 0])
    assert np.array_equal(read_labels(path, header)[..., 0], voxels[..., 0])


def test_a_slice_in_other_units_or_in_a_plane_is_one_millimetre_thick(tmp_path, voxels):
    fields = {"space dimension": 2, "space directions": np.diag([200.0, 300]), "space units": ["um", "um"]}
    header = read_header(save(tmp_path / "a.nrrd", voxels[..., 0], fields))
    assert np.allclose(header.affine, np.diag([-0.2, -0.3, 1, 1]))
    header = read_header(save(tmp_path / "b.nrrd", voxels[..., 0], {"spacings": [2.0, 3.0]}))
    assert np.allclose(header.affine, np.diag([-2.0, -3, 1, 1]))


@pytest.mark.parametrize("name", ["/etc/passwd", "../b.raw", "sub/../../b.raw", "C:\\b.raw", "..\\b.raw", "\\\\host\\b.raw"])
def test_a_data_file_outside_the_folder_is_refused(tmp_path, voxels, name):
    (tmp_path / "in").mkdir()
    path = save(tmp_path / "in" / "a.nhdr", voxels, located("LPS", encoding="raw"))
    (tmp_path / "b.raw").write_bytes(voxels.tobytes())
    for suffix in (".nhdr", ".nrrd"):
        other = path.with_suffix(suffix)
        other.write_bytes(path.read_bytes().replace(b"data file: a.raw", b"data file: " + name.encode()))
        assert refusal(other).startswith("names a data file outside its folder (")
        other.write_bytes(path.read_bytes())


def test_a_data_file_below_the_folder_is_read_and_one_that_is_not_there_named(tmp_path, voxels):
    path = save(tmp_path / "a.nhdr", voxels, located("LPS", encoding="raw"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.raw").rename(tmp_path / "sub" / "b.raw")
    with pytest.raises(TedmError, match=r"a\.raw: no such file"):
        read_header(path)
    rewritten(path, b"data file: a.raw", b"data file: sub/b.raw")
    assert np.array_equal(read_voxels(path, read_header(path))[..., 0], voxels)
    assert read_header(path).files == (path, tmp_path / "sub" / "b.raw")


def test_data_in_several_files_or_in_the_header_itself_is_refused(tmp_path, voxels):
    path = save(tmp_path / "a.nhdr", voxels, located("LPS", encoding="raw"))
    for names in (b"LIST\n1.raw\n2.raw", b"%03d.raw 1 3 1"):
        rewritten(path, b"data file: a.raw", b"data file: " + names)
        assert refusal(path) == "its data is spread over several files; save it in one .nrrd"
        rewritten(path, b"data file: " + names, b"data file: a.raw")
    assert refusal(rewritten(path, b"data file: a.raw", b"data file: a.nhdr")).startswith("names itself")


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_data_of_another_length_is_found_with_the_header(tmp_path, voxels, encoding):
    path = save(tmp_path / "a.nrrd", voxels, located("LPS", encoding=encoding))
    whole = path.read_bytes()
    for missing in (1, 6):
        path.write_bytes(whole[:-missing])
        assert refusal(path).startswith("cut off, ")
    head, end, _ = whole.partition(b"\n\n")
    pack = {"raw": bytes, "gzip": gzip.compress, "bzip2": bz2.compress}[encoding]
    path.write_bytes(head + end + pack(voxels.tobytes()[:-2]))
    assert refusal(path) == "cut off, 118 bytes of 120 are there; copy or download it again"
    path.write_bytes(head + end + pack(voxels.tobytes() + bytes(2**22)))
    assert refusal(path) == "holds more than the 120 bytes of which its header speaks; the file is damaged"
    if encoding != "raw":
        path.write_bytes(whole[:-20] + bytes(5) + whole[-15:])
        assert refusal(path).startswith(("damaged, it cannot be decompressed (", "cut off"))


def test_bytes_before_raw_data_are_skipped_as_the_header_says(tmp_path, voxels):
    path = save(tmp_path / "a.nhdr", voxels, located("LPS", encoding="raw"))
    data = (tmp_path / "a.raw").read_bytes()
    (tmp_path / "a.raw").write_bytes(b"before it" + data)
    for skip in (b"9", b"-1"):
        other = path.with_name(f"{skip.decode()}.nhdr")
        other.write_bytes(path.read_bytes().replace(b"data file:", b"byte skip: " + skip + b"\ndata file:"))
        assert np.array_equal(read_voxels(other, read_header(other))[..., 0], voxels)
    for line in (b"byte skip: -2", b"line skip: 1", b"line skip: 1000000000000"):
        other.write_bytes(path.read_bytes().replace(b"data file:", line + b"\ndata file:"))
        assert "which is not read so; save it in one .nrrd" in refusal(other)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"type: int16", b"type: block", "a volume of numbers of type void"),
        (b"type: int16", b"type: quaternion", "a volume of type quaternion; save integers or 32-bit floats"),
        (b"encoding: gzip", b"encoding: hex", "its encoding (hex) is not read; save it raw, or compressed by gzip or bzip2"),
        (b"encoding: gzip", b"encoding: text", "its encoding (text) is not read"),
        (b"dimension: 3", b"dimension: 4", "says that it has 4 axes and 3 sizes; the file is damaged"),
        (b"sizes: 4 5 3", b"sizes: 4 5 0", "says that it has 4 x 5 x 0 voxels; the file is damaged"),
        (b"sizes: 4 5 3", b"sizes: 40000 50000 30000", "40000 x 50000 x 30000 voxels; more than 8589934592 are not read"),
        (b"kinds: domain domain domain", b"kinds: RGB-color domain domain", "a volume of colours"),
        (b"kinds: domain domain domain", b"kinds: complex domain domain", "a volume of complex numbers"),
        (b"kinds: domain domain domain\n", b"kinds: domain\nkinds: domain\n", "cannot be decoded (Duplicate header field"),
        (b"endian: little\n", b"", "cannot be decoded (Header is missing required field: endian)"),
        (b"sizes: 4 5 3\n", b"", "its header lacks sizes; save it again"),
        (b"(-1,0,0)", b"(0,0,0)", "its affine (space directions) is singular: its axes do not span the space; mend the header"),
        (b"(-1,0,0)", b"(inf,0,0)", "its affine (space directions) has numbers that are not finite; mend the header"),
        (b"(-1,0,0)", b"none", "a 4D file of 4 volumes; save the one that is meant"),
        (b"(-1,0,0) (0,2,0)", b"none none", "has 1 axes of space; a volume has three, or two of one slice"),
        (b"(-1,0,0) (0,2,0)", b"(-1,0,0)", "its header describes another number of axes than it has, 3; save it again"),
        (b"space origin: (1,2,3)", b"space origin: (1,2)", "lies in a space of 3 axes, with an origin of 2; save it in one"),
        (b"space origin: (1,2,3)", b"space origin: (1,nan,3)", "its affine (space directions) has numbers that are not finite"),
        (b"NRRD0005", b"NRRD0009", "cannot be decoded (Unsupported NRRD file version"),
        (b"NRRD0005", b"PNRD0005", "not a NRRD file, whatever its name says"),
    ],
)
def test_headers_of_what_is_not_read_are_refused(tmp_path, voxels, old, new, said):
    fields = {
        "space": "LPS",
        "space directions": np.diag([-1.0, 2, 3]),
        "space origin": np.array([1.0, 2, 3]),
        "kinds": ["domain"] * 3,
    }
    path = rewritten(save(tmp_path / "a.nrrd", voxels, fields), old, new)
    assert refusal(path).startswith(said)


def test_a_header_without_end_and_an_empty_file_are_refused(tmp_path):
    path = tmp_path / "a.nrrd"
    path.write_bytes(b"NRRD0005\n" + b"x" * 2**23)
    assert refusal(path).startswith("its header has no end within")
    path.write_bytes(b"")
    assert refusal(path).startswith("cannot be decoded (")


def test_more_axes_beyond_space_than_one_are_refused(tmp_path):
    fields = {"kinds": ["list", "domain", "domain", "domain", "vector"]}
    path = save(tmp_path / "a.nrrd", np.zeros((2, 3, 3, 3, 4), np.int16), fields)
    assert refusal(path, channels=True).startswith("2 x 4 volumes in one file along 2 axes")
    path = save(tmp_path / "a.nrrd", np.zeros((2, 3, 3, 3), np.int16), {})
    assert refusal(path, channels=True).startswith("has 4 axes of space; a volume has three")


def test_without_pynrrd_it_is_said_what_to_install(tmp_path, voxels, monkeypatch):
    path = save(tmp_path / "a.nrrd", voxels, {})
    monkeypatch.setitem(sys.modules, "nrrd", None)
    with pytest.raises(TedmError) as caught:
        read_header(path)
    assert str(caught.value) == f"{path} needs a package that is not installed (nrrd): pip install 'tedm[volumes]'"


@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr"])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_damage_is_refused_in_one_line(tmp_path, voxels, damaged, name, encoding):
    assert damaged(save(tmp_path / name, voxels, located("LPS", encoding=encoding, kinds=["domain"] * 3)), 100) > 20


def test_damaged_data_beside_a_header_is_refused_in_one_line(tmp_path, voxels):
    path = save(tmp_path / "a.nhdr", voxels, located("LPS"))
    (data,) = tmp_path.glob("a.raw.gz")
    data.write_bytes(data.read_bytes()[:-3])
    with pytest.raises(TedmError, match=r"a\.raw\.gz: cut off, its compressed data has no end"):
        read_header(path)
