"""A label map that is the truth, written and read, has the truth's voxels and affine."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tedm.errors import TedmError
from tedm.extract.volumes.planes import oriented
from tedm.extract.volumes.read import read_header, read_labels, read_voxels, shape_problem
from tedm.extract.volumes.space import matrix_of
from tedm.extract.volumes.write import volume_files_written, write_label_map, write_map
from tedm.store.volumes.volume import Volume

OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix() @ np.diag([-1.0, 2.0, 0.7])
OBLIQUE[:3, 3] = 90, -126.5, 31


def volume_of(header, name="sub-1") -> Volume:
    axes, flips = oriented(header.affine, "axial")
    codes = header.qform_code, header.sform_code
    return Volume(name, header.shape, header.affine, axes, flips, header.kind, *codes)


def made(affine=OBLIQUE, shape=(4, 5, 3), **more) -> Volume:
    return Volume("sub-1", shape, matrix_of(affine), *oriented(affine, "axial"), **more)


def stored_header(path: Path):
    """The header as it stands in the file, which nibabel changes when it opens one."""
    return nib.Nifti1Header(gzip.decompress(path.read_bytes())[:348])


affines = st.builds(
    lambda order, signs, angles, spacing, origin, oblique: np.block(
        [
            [
                (Rotation.from_euler("xyz", angles, degrees=True).as_matrix() if oblique else np.eye(3))
                @ (np.eye(3)[list(order)].T * signs * spacing),
                np.array(origin)[:, None],
            ],
            [np.zeros(3), np.ones(1)],
        ]
    ),
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from([1, -1])] * 3),
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.05, 9)] * 3),
    st.tuples(*[st.floats(-400, 400)] * 3),
    st.booleans(),
)
shapes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    affines,
    shapes,
    st.sampled_from(["uint8", "int16", ">u2", "int32", "float32"]),
    st.sampled_from(["t.nii", "t.nii.gz", "t.nrrd"]),
    st.sampled_from([(0, 2), (1, 0), (1, 1), (2, 4), (0, 0)]),
    st.integers(0, 2**32 - 1),
)
def test_the_truth_written_and_read_is_the_truth(tmp_path, affine, shape, dtype, name, codes, seed):
    """The truth is a file of its own, by nibabel or pynrrd; the map is made slice by slice, as a prediction is."""
    truth = np.random.default_rng(seed).integers(0, 200 if dtype == "uint8" else 2000, shape).astype(dtype)
    path = tmp_path / name
    if name == "t.nrrd":
        fields = {"space": "RAS", "space directions": affine[:3, :3].T, "space origin": affine[:3, 3]}
        nrrd.write(str(path), truth, fields)
    else:
        head = nib.Nifti1Header()
        head.set_data_dtype(dtype)
        head.set_data_shape(shape)
        head.set_qform(affine, codes[0])
        head.set_sform(affine if codes[1] else None, codes[1])
        nib.save(nib.Nifti1Image(truth, None, head), path)
    header = read_header(path)
    volume = volume_of(header)
    slices = np.stack([volume.slice_of(truth, index) for index in volume.indices])
    written = write_label_map(tmp_path, volume, volume.from_slices(slices).astype(np.int64), like=header.kind)
    again = read_header(written)
    assert np.array_equal(read_labels(written, again), truth)
    assert shape_problem(header, "truth", again, "map") is None
    assert again.kind == header.kind
    assert (again.qform_code, again.sform_code) == (header.qform_code, header.sform_code)
    if header.sform_code or header.kind == "nrrd":
        assert again.affine == header.affine
    assert np.allclose(again.affine, header.affine, rtol=1e-5, atol=1e-4)
    for axis in ("axial", "coronal", "sagittal"):
        assert oriented(again.affine, axis) == oriented(header.affine, axis)
    assert again.remarks == header.remarks


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 255], "uint8"),
        ([1, 256], "uint16"),
        ([0, 65536], "uint32"),
        ([-1, 255], "int16"),
        ([-1, 32768], "int32"),
        ([7], "uint8"),
    ],
)
@pytest.mark.parametrize("like", ["nifti", "nrrd"])
def test_labels_take_the_smallest_type_that_holds_them(tmp_path, values, dtype, like):
    labels = np.resize(values, (4, 5, 3)).astype(np.int64)
    path = write_label_map(tmp_path, made(), labels, like=like)
    assert path == tmp_path / volume_files_written("sub-1", like=like)[0]
    header = read_header(path)
    assert header.mode == dtype
    assert np.array_equal(read_labels(path, header), labels)


def test_a_nifti_says_what_it_is(tmp_path, voxels):
    path = write_label_map(tmp_path, made(qform_code=1, sform_code=3), np.abs(voxels), like="nifti")
    header = stored_header(path)
    assert (header["scl_slope"], header["scl_inter"]) == (1, 0)
    assert header.get_intent()[0] == "label"
    assert header.get_xyzt_units()[0] == "mm"
    assert (header["qform_code"], header["sform_code"]) == (1, 3)
    assert np.allclose(header.get_qform(), OBLIQUE, atol=1e-4)
    assert np.allclose(header.get_sform(), OBLIQUE, atol=1e-4)
    assert np.array_equal(nib.load(path).get_fdata(), np.abs(voxels))


def test_a_nrrd_is_read_by_pynrrd_and_lies_in_lps(tmp_path, voxels):
    path = write_label_map(tmp_path, made(kind="nrrd"), np.abs(voxels), like="nrrd")
    values, fields = nrrd.read(str(path))
    assert np.array_equal(values, np.abs(voxels))
    assert (fields["space"], fields["space units"]) == ("left-posterior-superior", ["mm"] * 3)
    assert np.array_equal(fields["space directions"].T, np.diag([-1, -1, 1]) @ OBLIQUE[:3, :3])


@pytest.mark.parametrize("like", ["nifti", "nrrd"])
def test_the_same_labels_are_the_same_bytes(tmp_path, voxels, like, monkeypatch):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_label_map(tmp_path / folder, made(), np.abs(voxels), class_names={1: "one"}, like=like)
        monkeypatch.setattr("time.time", lambda: 1e9)
    files = volume_files_written("sub-1", like=like, named=True)
    assert sorted(files) == sorted(path.name for path in (tmp_path / "a").iterdir())
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert b"20" not in (tmp_path / "a" / files[0]).read_bytes().partition(b"\n\n")[0] or like == "nifti"


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 1), (99, -4)])
@pytest.mark.parametrize("kind", ["nifti", "dicom", "nrrd"])
def test_an_affine_is_never_lost_whatever_the_codes(tmp_path, voxels, codes, kind):
    """A shear has no qform; an affine of its own is none that readers assume; an unknown code is none of NIfTI's."""
    sheared = OBLIQUE.copy()
    sheared[0, 1] += 0.8
    volume = made(sheared, kind=kind, qform_code=codes[0], sform_code=codes[1])
    header = read_header(write_label_map(tmp_path, volume, np.abs(voxels), like="nifti"))
    assert np.allclose(header.affine, sheared, rtol=1e-6, atol=1e-5)
    expected = {(1, 0): (1, 1), (0, 1): (0, 1)}.get(codes, (0, 2))
    if kind != "nifti" and codes in ((0, 0), (99, -4)):
        expected = (1, 1)
    assert (header.qform_code, header.sform_code) == expected


def test_what_a_nifti_of_32_bits_cannot_hold_becomes_nifti_2(tmp_path):
    affine = np.diag([1e-3, 1e-3, 1e-3, 1.0])
    affine[:3, 3] = 123456.78515
    for volume in (made(affine), made(np.eye(4), (40000, 1, 1))):
        labels = np.resize([0, 3, 1], volume.shape)
        path = write_label_map(tmp_path, volume, labels, like="nifti")
        assert isinstance(nib.load(path), nib.Nifti2Image)
        header = read_header(path)
        assert np.array_equal(read_labels(path, header), labels)
        assert np.allclose(header.affine, volume.affine, rtol=1e-12)


def test_classes_have_names_that_itk_snap_reads(tmp_path, voxels):
    names = {0: "background", 3: 'left "putamen"', 1: "x\ny"}
    write_label_map(tmp_path, made(), np.abs(voxels), class_names=names, like="nifti")
    rows = [line for line in (tmp_path / "sub-1-labels.txt").read_text().splitlines() if not line.startswith("#")]
    fields = [row.split(maxsplit=7) for row in rows]
    assert [(int(row[0]), row[4:7], row[7]) for row in fields] == [
        (0, ["0", "0", "0"], '"background"'),
        (1, ["1", "1", "1"], '"x\\ny"'),
        (3, ["1", "1", "1"], "\"left 'putamen'\""),
    ]
    assert all(0 <= int(part) <= 255 for row in fields for part in row[1:4])
    assert len({tuple(row[1:4]) for row in fields}) == 3


def test_without_names_there_is_one_file(tmp_path, voxels):
    write_label_map(tmp_path, made(), np.abs(voxels), like="nifti")
    assert [path.name for path in tmp_path.iterdir()] == ["sub-1.nii.gz"]


@pytest.mark.parametrize("classes", [(), (3,)])
def test_numbers_of_voxels_are_written_as_float32(tmp_path, rng, classes):
    volume = made(qform_code=0, sform_code=2)
    values = rng.normal(size=(*volume.shape, *classes))
    values[1, 2, 0] = np.nan
    path = write_map(tmp_path, volume, "probabilities", values)
    assert path.name == volume_files_written("sub-1", like="nrrd", maps=["probabilities"])[1]
    header = read_header(path, channels=True)
    assert (header.mode, header.sform_code, header.qform_code) == ("float32", 2, 0)
    assert np.allclose(header.affine, OBLIQUE, atol=1e-5)
    read = read_voxels(path, header)
    assert np.array_equal(read, values.astype(np.float32).reshape(read.shape), equal_nan=True)
    assert stored_header(path).get_intent()[0] == "none"


def test_unknown_codes_stay_unknown_in_a_map_of_classes(tmp_path, rng):
    """The affine that readers assume depends on the shape; an axis of classes does not change it."""
    path = tmp_path / "t.nii"
    image = nib.Nifti1Image(np.zeros((4, 5, 3), np.uint8), None)
    image.header.set_zooms((2, 3, 4))
    path.write_bytes(image.to_bytes())
    volume = volume_of(header := read_header(path))
    again = read_header(write_map(tmp_path, volume, "p", rng.random((4, 5, 3, 2))), channels=True)
    assert (again.affine, again.qform_code, again.sform_code) == (header.affine, 0, 0)


def test_labels_of_another_shape_or_type_are_a_defect(tmp_path, voxels):
    for labels in (voxels[:-1], voxels.astype(float)):
        with pytest.raises(ValueError, match=r"integers of shape \(4, 5, 3\) are needed"):
            write_label_map(tmp_path, made(), labels, like="nifti")
    with pytest.raises(ValueError, match="for a volume of"):
        write_map(tmp_path, made(), "p", voxels[:-1].astype(float))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_leads_elsewhere_writes_nothing(tmp_path, voxels):
    volume = Volume("../sub-1", (4, 5, 3), matrix_of(np.eye(4)), (2, 1, 0), (False,) * 3)
    with pytest.raises(TedmError, match="cannot be a file's name"):
        write_label_map(tmp_path, volume, np.abs(voxels), like="nifti")
    with pytest.raises(TedmError, match="cannot be a file's name"):
        write_map(tmp_path, made(), "../p", voxels.astype(float))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path, voxels):
    with pytest.raises(TedmError, match=r"cannot write .*gone.sub-1\.nii\.gz"):
        write_label_map(tmp_path / "gone", made(), np.abs(voxels), like="nifti")


def test_real_label_maps_come_back_in_their_own_geometry(shared, tmp_path):
    data = shared / "data"
    folders = (data / "subcortical" / "labels", data / "hippocampus" / "labels")
    for path in (sorted(folder.glob("*.nii.gz"))[0] for folder in folders):
        header = read_header(path)
        labels = read_labels(path, header)
        written = write_label_map(tmp_path, volume_of(header), labels, like="nifti")
        again = read_header(written)
        assert np.array_equal(read_labels(written, again), labels)
        assert (again.affine, again.qform_code, again.sform_code) == (header.affine, header.qform_code, header.sform_code)
        assert np.array_equal(nib.load(written).affine, nib.load(path).affine)
