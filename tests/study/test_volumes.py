"""Predictions of slices become volumes at their own resolution, one after the other."""

from __future__ import annotations

import itertools
import runpy
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scans import CLASSES, OBLIQUE, labels_of, voxels_in, write_table, write_volume
from scipy.spatial.transform import Rotation

from tedm.errors import TedmError
from tedm.extract import LiveFeatures, read_manifest
from tedm.extract.backbones import random_backbone
from tedm.extract.images import Manifest, VolumeOptions
from tedm.extract.volumes import write_label_map
from tedm.heads import Prediction
from tedm.store import IGNORE, Arithmetic, FeatureStore, Storage
from tedm.study.volumes import assembled, counted_by, whole_volumes

HEADS = runpy.run_path(str(Path(__file__).parents[1] / "heads" / "conftest.py"))
TILTED = np.eye(4)
TILTED[:3, :3] = Rotation.from_euler("xyz", (20, -35, 40), degrees=True).as_matrix() @ np.diag([-1.0, 2.0, 0.7])
TILTED[:3, 3] = 90, -126.5, 31


def features_of(manifest: Manifest, size: int) -> LiveFeatures:
    """Features of volumes whose slices are shown at this size; no backbone runs."""
    settings = replace(HEADS["_settings"]((1,), 1, "nearest"), image_size=size)
    arithmetic, storage = Arithmetic("cpu", "float32", False, 4, 1, "2", "p"), Storage("native", "float32")
    return LiveFeatures(manifest, random_backbone(), settings, arithmetic, storage)


def truths(manifest: Manifest, **more: float) -> Iterator[Prediction]:
    """The truth of each slice as somebody predicts it who is sure, in the order of the slices."""
    entries = {(entry.volume.name, entry.slice.index): entry for entry in manifest.entries if entry.volume}
    for volume in dict.fromkeys(entry.volume for entry in manifest.entries if entry.volume):
        for index in volume.indices:
            mask = manifest.read_mask(entry := entries[volume.name, index])
            sure = np.eye(len(CLASSES), dtype=np.float32)[np.where(mask == IGNORE, 0, mask)]
            yield Prediction(entry.name, "truth", sure, **{kind: np.full(mask.shape, value) for kind, value in more.items()})


def scans(folder: Path, kind: str, *, affine: np.ndarray = OBLIQUE, shape=(8, 8, 8), many: int = 1) -> Path:
    rows = [["image", "mask"]]
    for number in range(many):
        for what in rows[0]:
            write_volume(folder / what / f"v{number}{kind}", labels_of(shape, number), affine)
        rows.append([f"{what}/v{number}{kind}" for what in rows[0]])
    return write_table(folder / "manifest.csv", rows)


@pytest.mark.parametrize(("kind", "affine"), [(".nii.gz", OBLIQUE), (".nrrd", TILTED)])
@pytest.mark.parametrize("crop", [None, 10, 6])
def test_predictions_of_the_truth_are_the_truth_in_its_own_voxels_and_affine(tmp_path, kind, affine, crop):
    """The file is written by nibabel or pynrrd and read by it again; beyond a crop is background."""
    table = scans(tmp_path, kind, affine=affine)
    truth = labels_of((8, 8, 8), 0)
    for axis in ("axial", "coronal", "sagittal", "0", "1", "2"):
        manifest = read_manifest(table, options=VolumeOptions(axis=axis, crop=crop))
        features = features_of(manifest, crop or 8)
        volumes = whole_volumes(features.labels, features.labels.names, what="the store")
        [made] = assembled(truths(manifest), volumes, features)
        (tmp_path / axis).mkdir(exist_ok=True)
        like = "nrrd" if kind == ".nrrd" else "nifti"
        path = write_label_map(tmp_path / axis, volumes[0].volume, made.values(CLASSES), like=like)
        expected = truth
        if crop == 6:
            expected = np.zeros_like(truth)
            volumes[0].volume.to_slices(expected)[:, 1:7, 1:7] = volumes[0].volume.to_slices(truth)[:, 1:7, 1:7]
        voxels, its = voxels_in(path)
        np.testing.assert_array_equal(voxels, expected)
        np.testing.assert_allclose(its, affine, atol=1e-4)
        assert voxels.dtype == np.uint8
        assert made.cell == 1
        assert made.spacing == pytest.approx([np.linalg.norm(affine[:3, at]) for at in volumes[0].volume.axes])


def test_probabilities_and_uncertainty_come_in_the_files_axes_and_are_sure_beyond_a_crop(tmp_path):
    manifest = read_manifest(scans(tmp_path, ".nii"), options=VolumeOptions(axis="coronal", crop=6))
    features = features_of(manifest, 6)
    volumes = whole_volumes(features.labels, features.labels.names, what="the store")
    unsure = (
        replace(each, probabilities=each.probabilities * 0.7 + 0.1) for each in truths(manifest, entropy=0.5, disagreement=2.0)
    )
    [made] = assembled(unsure, volumes, features, probabilities=True)
    truth = np.searchsorted(CLASSES, labels_of((8, 8, 8), 0))
    probabilities, entropy, disagreement = (made.map(kind) for kind in ("probabilities", "entropy", "disagreement"))
    inside = entropy > 0
    assert inside.sum() == 8 * 6 * 6
    np.testing.assert_allclose(probabilities[inside], (np.eye(3)[truth] * 0.7 + 0.1)[inside], atol=1e-6)
    np.testing.assert_array_equal(probabilities[~inside], np.tile([1, 0, 0], ((~inside).sum(), 1)))
    np.testing.assert_array_equal(disagreement, inside)  # maps end at 1
    assert made.means == pytest.approx({"entropy": 0.5, "disagreement": 2.0})
    assert probabilities.dtype == entropy.dtype == np.float32


def test_masks_are_taken_from_probabilities_before_the_temperature(tmp_path):
    manifest = read_manifest(scans(tmp_path, ".nii"))
    features = features_of(manifest, 8)
    volumes = whole_volumes(features.labels, features.labels.names, what="the store")
    flat = (
        replace(each, probabilities=np.full((8, 8, 3), 1 / 3), uncalibrated=each.probabilities) for each in truths(manifest)
    )
    [made] = assembled(flat, volumes, features, probabilities=True)
    np.testing.assert_array_equal(made.values(CLASSES), labels_of((8, 8, 8), 0))
    np.testing.assert_allclose(made.map("probabilities"), 1 / 3)


def test_a_volume_with_holes_is_refused_by_its_name_and_slices(volume_study):
    labels = FeatureStore.open(volume_study / "store").labels
    names = labels.select(split="test")
    assert [len(whole.names) for whole in whole_volumes(labels, names, what="s")] == [4, 3, 4]
    assert whole_volumes(labels, [], what="s") == []
    lacking = [name for name in names if name not in ("three_001", "four_000", "four_003")]
    with pytest.raises(TedmError) as caught:
        whole_volumes(labels, lacking, what="s")
    assert str(caught.value).splitlines() == [
        "a mask or a score of a volume takes all of its slices; choose another --split (--drop-empty leaves slices out of "
        "train), or predict from the volumes' files:",
        "  volume three: 1 of its 4 slices is of another split or domain, or not there (1)",
        "  volume four: 2 of its 4 slices are of another split or domain, or not there (0, 3)",
    ]
    at = [labels.index(name) for name in lacking]
    fewer = replace(labels, names=tuple(lacking), slices=tuple(labels.slices[each] for each in at))
    with pytest.raises(
        TedmError, match=r"volume three: 1 of its 4 slices is not in my store \(1\)\n  volume four: 2 .* not in my"
    ):
        whole_volumes(fewer, lacking, what="my store")


def test_predictions_that_do_not_come_or_come_in_another_order_are_no_volume(tmp_path):
    manifest = read_manifest(scans(tmp_path, ".nii"))
    features = features_of(manifest, 8)
    volumes = whole_volumes(features.labels, features.labels.names, what="the store")
    made = list(truths(manifest))
    for wrong in (made[:-1], [], [made[1], made[0], *made[2:]]):
        with pytest.raises(ValueError, match=r"the prediction of v0_00\d was expected, and (none|that of v0_006) came"):
            list(assembled(wrong, volumes, features))
    rest = iter([*made, "what follows"])
    assert len(list(assembled(rest, volumes, features))) == 1
    assert next(rest) == "what follows"


def test_two_heads_give_two_volumes_that_are_those_of_each(tmp_path):
    manifest = read_manifest(scans(tmp_path, ".nii", many=2))
    features = features_of(manifest, 8)
    volumes = whole_volumes(features.labels, features.labels.names, what="the store")
    both = [(each, replace(each, head="other", probabilities=each.probabilities[..., ::-1])) for each in truths(manifest)]
    made = list(assembled(itertools.chain(*both), volumes, features, heads=2))
    assert [(each.name, each.head) for each in made] == [(name, head) for name in ("v0", "v1") for head in ("truth", "other")]
    for number, (one, other) in enumerate((made[:2], made[2:])):
        np.testing.assert_array_equal(one.values(CLASSES), labels_of((8, 8, 8), number))
        np.testing.assert_array_equal(other.mask, 2 - one.mask)


def test_memory_does_not_grow_with_the_volumes(tmp_path):
    manifest = read_manifest(scans(tmp_path, ".nii", shape=(16, 16, 64), many=4))
    features = features_of(manifest, 16)
    volumes = whole_volumes(features.labels, features.labels.names, what="the store")
    masks = {each.name: each.mask for each in truths(manifest)}
    peaks = []
    for many in (1, 1, 4):
        tracemalloc.start()
        names = [name for whole in volumes[:many] for name in whole.names]
        predictions = (Prediction(name, "truth", np.eye(3, dtype=np.float32)[masks[name]]) for name in names)
        for volume in assembled(predictions, volumes[:many], features, probabilities=True):
            assert volume.map("probabilities").nbytes == 16 * 16 * 64 * 3 * 4
            del volume
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.1 * peaks[1]


def test_predictions_are_counted_after_each(tmp_path):
    told: list[tuple[int, int]] = []
    one, two = Prediction("a", "h", np.zeros((1, 1, 2))), Prediction("b", "h", np.zeros((1, 1, 2)))
    for number, prediction in enumerate(counted_by(lambda *at: told.append(at), 2, [one, two])):
        assert (prediction.name, len(told)) == ("ab"[number], number)
    assert told == [(1, 2), (2, 2)]
