"""A label map that is written as a DICOM segmentation, and read by highdicom, has the same voxels in the same place."""

from __future__ import annotations

import logging

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_files import SERIES, enhanced, save, voxels_of, write_series

from tedm.errors import TedmError
from tedm.extract.volumes.dicom import read_header
from tedm.extract.volumes.dicom_seg import write_dicom_seg
from tedm.store.volumes.volume import Volume

NAMES = {0: "background", 4: "left caudate", 9: "tumour", 12: "not there"}


def volume_of(header) -> Volume:
    return Volume("case 1", header.shape, header.affine, (2, 1, 0), (False, False, False), "dicom")


def labels_of(shape):
    labels = np.random.default_rng(2).choice([0, 4, 9], shape)
    labels[:, :, 1] = 0  # a slice without a structure has no frame in the file
    return labels


def class_values(path, header):
    """The class value at each voxel of a header, from the codes and places in the file."""
    segmentation = highdicom.seg.segread(path)
    codes = {
        each.SegmentNumber: int(each.SegmentedPropertyTypeCodeSequence[0].CodeValue) for each in segmentation.SegmentSequence
    }
    values = np.zeros(header.shape, int)
    to_voxel = np.linalg.inv(np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.array(header.affine))
    frames = pydicom.dcmread(path).pixel_array
    for frame, groups in zip(np.atleast_3d(frames), segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        place = [float(each) for each in groups.PlanePositionSequence[0].ImagePositionPatient]
        index = to_voxel @ [*place, 1]
        np.testing.assert_allclose(index[:2], 0, atol=0.01)
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        values[:, :, round(index[2])][frame.T > 0] = codes[number]
    return values


def test_the_same_voxels_come_back(tmp_path):
    paths = write_series(
        tmp_path / "scan", voxels_of(), ImageOrientationPatient=[0.0, 1.0, 0.0, 0.0, 0.0, -1.0], step=(-3.0, 0.0, 0.0)
    )
    header = read_header(tmp_path / "scan")
    labels = labels_of(header.shape)
    path = write_dicom_seg(tmp_path / "out", volume_of(header), labels, source=header.files, class_names=NAMES)
    assert path == tmp_path / "out" / "case 1.dcm"
    np.testing.assert_array_equal(class_values(path, header), labels)
    made = pydicom.dcmread(path)
    assert [each.SegmentLabel for each in made.SegmentSequence] == ["left caudate", "tumour", "not there"]
    assert {each.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator for each in made.SegmentSequence} == {"99TEDM"}
    assert made.SeriesInstanceUID != SERIES == made.ReferencedSeriesSequence[0].SeriesInstanceUID
    assert (made.PatientID, made.StudyInstanceUID) == ("anonymous", "1.2.3")
    assert len(paths) == len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence)


def test_a_file_of_many_slices_has_its_frames_in_its_own_order(tmp_path):
    path = save(tmp_path / "scan" / "a.dcm", enhanced(voxels_of(4).transpose(2, 1, 0), [9.0, 0.0, 6.0, 3.0]))
    header = read_header(path)
    labels = labels_of(header.shape)
    written = write_dicom_seg(tmp_path, volume_of(header), labels, source=header.files, class_names={})
    np.testing.assert_array_equal(class_values(written, header), labels)
    assert [each.SegmentLabel for each in pydicom.dcmread(written).SegmentSequence] == ["class 4", "class 9"]


def test_a_label_map_of_the_background_alone_is_written_with_its_named_classes(tmp_path):
    write_series(tmp_path / "scan", voxels_of())
    header = read_header(tmp_path / "scan")
    path = write_dicom_seg(tmp_path, volume_of(header), np.zeros(header.shape, int), source=header.files, class_names=NAMES)
    assert not class_values(path, header).any()


def test_it_is_silent(tmp_path, caplog, capsys):
    write_series(tmp_path / "scan", voxels_of())
    header = read_header(tmp_path / "scan")
    with caplog.at_level(logging.DEBUG):
        write_dicom_seg(tmp_path, volume_of(header), labels_of(header.shape), source=header.files, class_names={})
    assert not caplog.records
    assert capsys.readouterr() == ("", "")


def test_what_cannot_be_written_is_refused_and_nothing_is_there(tmp_path):
    write_series(tmp_path / "scan", voxels_of())
    write_series(tmp_path / "bare", voxels_of(), FrameOfReferenceUID=None)
    header, bare = read_header(tmp_path / "scan"), read_header(tmp_path / "bare")
    labels = labels_of(header.shape)
    (tmp_path / "file").touch()
    cases = [
        (tmp_path / "out", header, np.zeros(header.shape, int), header.files, "only one class .0."),
        (tmp_path / "out", header, labels[:, :, 1:], header.files, r"a label map of shape \(6, 4, 4\)"),
        (tmp_path / "out", header, labels, header.files[1:], "from 4 slices"),
        (tmp_path / "out", bare, labels, bare.files, "has no FrameOfReferenceUID, which a DICOM segmentation of it needs"),
        (tmp_path / "file", header, labels, header.files, "cannot"),
    ]
    for folder, of, map_, source, message in cases:
        with pytest.raises(TedmError, match=message) as caught:
            write_dicom_seg(folder, volume_of(of), map_, source=source, class_names={})
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
