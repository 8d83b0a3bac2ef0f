"""Label maps of volumes in their own geometry, their maps and DICOM segmentations; what is refused before the work."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pytest
from dicom_files import voxels_of, write_series
from scans import CLASSES, OBLIQUE, labels_of, voxels_in

from tedm.errors import TedmError
from tedm.extract import LiveFeatures, load_backbone, read_manifest
from tedm.extract.images import VolumeOptions
from tedm.extract.volumes import oriented
from tedm.heads import Cleaning, Segmenter, load_head
from tedm.store import FeatureStore, Volume
from tedm.study.volume_output import VolumeOutput
from tedm.study.volumes import AssembledVolume, WholeVolume, whole_volumes

NAMES = ("background", "left caudate", "tumour")
COLOURS = ("#000000", "#ff8001", "#0072b2")
NOTHING = Cleaning()


@pytest.fixture(scope="module")
def head(volume_study: Path) -> Segmenter:
    return load_head(volume_study / "tedm")


def made_of(
    labels: np.ndarray, *, kind: str = "nifti", axis: str = "axial", cell: float = 1.0, maps: bool = False
) -> AssembledVolume:
    """A volume of these class values, as if it had been put together."""
    affine = tuple(tuple(map(float, row)) for row in OBLIQUE)
    volume = Volume("case", labels.shape, affine, *oriented(affine, axis), kind, 1, 2)  # type: ignore[arg-type]
    mask = np.ascontiguousarray(volume.to_slices(np.searchsorted(CLASSES, labels).astype(np.uint8)))
    rng = np.random.default_rng(4)
    kept = {"probabilities": rng.dirichlet([1, 1, 1], mask.shape), "entropy": rng.random(mask.shape), "disagreement": mask / 3}
    names = tuple(volume.slice_name(index) for index in volume.indices)
    return AssembledVolume(
        WholeVolume(volume, names),
        "head",
        mask,
        cell,
        {key: each.astype(np.float32) for key, each in kept.items()} if maps else {},
    )


@pytest.fixture
def series(tmp_path: Path, volume_study: Path, head: Segmenter, checkpoint: Path) -> LiveFeatures:
    """Features of a DICOM series of five slices, computed from its files."""
    write_series(tmp_path / "scan", voxels_of(dtype="uint8"))
    options = VolumeOptions.of(head.settings)
    manifest = read_manifest(tmp_path / "scan", masks=False, options=options)
    return LiveFeatures(manifest, load_backbone(checkpoint), head.settings, head.arithmetic, head.storage)


def whole_of(live: LiveFeatures) -> list[WholeVolume]:
    return whole_volumes(live.labels, live.labels.names, what="them")


@pytest.mark.parametrize("kind", ["nifti", "nrrd", "dicom"])
@pytest.mark.parametrize("asked", ["auto", "nifti", "nrrd"])
def test_what_is_said_to_be_written_is_written_and_lies_upon_the_image(tmp_path, head, kind, asked):
    labels = labels_of((5, 6, 4), 1)
    for named, maps in ((True, True), (False, False)):
        own = replace(head, class_names=NAMES if named else (), class_colours=COLOURS if named else ())
        output = VolumeOutput(asked, own, NOTHING, probabilities=maps, uncertainty=maps)
        volume = made_of(labels, kind=kind, axis="sagittal", maps=maps)
        folder = tmp_path / str(named)
        (folder / "uncertainty").mkdir(parents=True)
        output.require([volume.whole], None, "the store")
        path = output.write(folder, volume, None)
        assert path.name == ("case.nrrd" if "nrrd" in (asked, kind if asked == "auto" else "") else "case.nii.gz")
        said = output.files_of([volume.whole])["case"]
        written = [each for each in folder.rglob("*") if each.is_file()]
        assert sorted(str(each.relative_to(folder)) for each in written) == sorted(said)
        for file in (each for each in written if each.suffix != ".txt"):
            np.testing.assert_allclose(voxels_in(file)[1], OBLIQUE, atol=1e-4)
        np.testing.assert_array_equal(voxels_in(path)[0], labels)
    words = (tmp_path / "True" / "case-labels.txt").read_text().splitlines()[1:]
    assert [line.split() for line in words] == [
        ["0", *["0"] * 6, '"background"'],
        ["4", "255", "128", "1", "1", "1", "1", '"left', 'caudate"'],
        ["9", "0", "114", "178", "1", "1", "1", '"tumour"'],
    ]


def test_maps_are_floats_of_each_voxel_and_probabilities_sum_to_one(tmp_path, head):
    volume = made_of(labels_of((5, 6, 4), 1), maps=True)
    (tmp_path / "uncertainty").mkdir()
    VolumeOutput("auto", head, NOTHING, probabilities=True, uncertainty=True).write(tmp_path, volume, None)
    places = (tmp_path, tmp_path / "uncertainty", tmp_path / "uncertainty")
    probabilities, entropy, disagreement = (
        voxels_in(place / f"case-{kind}.nii.gz")[0] for place, kind in zip(places, volume.maps, strict=True)
    )
    assert (probabilities.shape, entropy.shape) == ((5, 6, 4, 3), (5, 6, 4))
    assert {each.dtype for each in (probabilities, entropy, disagreement)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(disagreement * 3, np.searchsorted(CLASSES, labels_of((5, 6, 4), 1)), atol=1e-6)
    for at in range(3):
        mine = np.ascontiguousarray(volume.whole.volume.to_slices(probabilities[..., at]))
        np.testing.assert_array_equal(mine, volume.maps["probabilities"][..., at])


def test_a_part_that_spans_slices_counts_once_and_a_hole_is_one_in_three_dimensions(tmp_path, head):
    labels = np.zeros((8, 8, 7), np.uint8)
    labels[1:6, 1:6, 1:5] = 4  # 100 voxels, of 25 in each of four slices
    labels[3, 3, 2] = 0  # a hole
    labels[2, 2, 3:] = 0  # open to the last slice: a hole of a slice, and none of the volume
    labels[7, 7, 6], labels[0, 0, 0] = 4, 9
    expected = labels.copy()
    expected[3, 3, 2], expected[7, 7, 6] = 4, 0
    volume = made_of(labels)
    output = VolumeOutput("auto", head, Cleaning(largest=1, fill_holes=True), False)
    np.testing.assert_array_equal(voxels_in(output.write(tmp_path, volume, None))[0], expected)
    # 30 pixels at feature resolution are 60 voxels: more than a slice of it shows, less than the volume does
    by_area = VolumeOutput("auto", head, Cleaning(min_area=30), False)
    (tmp_path / "area").mkdir()
    kept = voxels_in(by_area.write(tmp_path / "area", replace(volume, cell=2.0), None))[0]
    assert ((kept == 4).sum(), (kept == 9).sum()) == ((labels == 4).sum() - 1, 0)


def test_a_segmentation_of_a_series_has_all_classes_wherever_nothing_was_found(tmp_path, head, series):
    [whole] = whole_of(series)
    mask = np.zeros((5, 4, 6), np.uint8)
    for found, names in ((False, ()), (True, NAMES)):
        mask[1:3, 2, 1:5] = 2 * found
        output = VolumeOutput("dicom-seg", replace(head, class_names=names), NOTHING, False)
        output.require([whole], series, "scan")
        (tmp_path / str(found)).mkdir()
        path = output.write(tmp_path / str(found), AssembledVolume(whole, "head", mask.copy(), 1.0), series)
        assert [each.name for each in path.parent.iterdir()] == output.files_of([whole])["scan"] == ["scan.dcm"]
        segments = highdicom.seg.segread(path).SegmentSequence
        assert [each.SegmentLabel for each in segments] == list(names[1:] or ("class 4", "class 9"))
    values = highdicom.seg.segread(path).get_volume(combine_segments=True).array
    assert (values == 2).sum() == mask.astype(bool).sum()


def test_what_cannot_be_written_is_refused_in_one_line_before_the_work(tmp_path, head, series, volume_study):
    store = FeatureStore.open(volume_study / "store")
    of_store, [scan] = whole_volumes(store.labels, store.labels.names, what="s"), whole_of(series)
    write_series(tmp_path / "bare", voxels_of(dtype="uint8"), FrameOfReferenceUID=None)
    manifest = read_manifest(tmp_path / "bare", masks=False, options=VolumeOptions.of(head.settings))
    bare = LiveFeatures(manifest, series._backbone, head.settings, head.arithmetic, head.storage)
    others = (replace(head, classes=(0,)), replace(head, classes=(9, 0, 4)))
    cases = [
        (head, [scan], None, "--format dicom-seg is for DICOM series, and here is a store; leave it out, or name the series"),
        (head, [scan, of_store[0]], series, "--format dicom-seg is for DICOM series, and one is none; leave it out"),
        (head, [], series, "--format dicom-seg is for volumes, and here has none; leave it out"),
        (head, whole_of(bare), bare, "has no FrameOfReferenceUID, which a DICOM segmentation of it needs; write NIfTI"),
        (
            others[0],
            [scan],
            series,
            "needs a class beside the background, whose value is the smallest; this head's are 0: leave",
        ),
        (others[1], [scan], series, "this head's are 9, 0, 4: leave it out"),
    ]
    for own, volumes, live, said in cases:
        with pytest.raises(TedmError, match=said) as caught:
            VolumeOutput("dicom-seg", own, NOTHING, False).require(volumes, live, "here")
        assert "\n" not in str(caught.value)
    for asked in ("nifti", "nrrd"):
        with pytest.raises(TedmError, match=f"--format {asked} is for volumes, and here has none; leave it out"):
            VolumeOutput(asked, head, NOTHING, False).require([], None, "here")
    VolumeOutput("auto", head, NOTHING, False).require([], None, "here")


@pytest.mark.parametrize(
    ("asked", "module", "extra"),
    [("auto", "nibabel", "volumes"), ("nrrd", "nrrd", "volumes"), ("dicom-seg", "highdicom", "dicom")],
)
def test_a_package_that_is_not_installed_is_named_before_the_work(head, series, monkeypatch, asked, module, extra):
    volumes = whole_of(series)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TedmError, match=rf"^writing the masks of scan needs .*{module}\): pip install 'tedm\[{extra}\]'$"):
        VolumeOutput(asked, head, NOTHING, False).require(volumes, series, "scan")
