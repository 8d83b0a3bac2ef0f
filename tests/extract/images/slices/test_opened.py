"""A volume's slices as intensities: black, white, background, crops; decoded once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_files import OBLIQUE, SHAPE, brain_of, head, labels_of, save, write_patients

from tedm.errors import TedmError
from tedm.extract.images import VolumeOptions, read_manifest
from tedm.extract.images.slices import decoded, opened
from tedm.extract.images.slices.opened import cropped, label_slice, open_volume, uncropped
from tedm.store import IGNORE, Slice
from tedm.store.volumes.normalisation import Normalisation

QUANTILE = Normalisation("quantile", brain="mask")


def shown(manifest, normalisation, intensity_range=None):
    """All slices of the first volume, in their order: shape (slices, height, width, channels)."""
    name = manifest.entries[0].volume.name
    return np.stack(
        [
            open_volume(entry, intensity_range=intensity_range, normalisation=normalisation).slice(entry.volume, entry.slice)
            for entry in manifest.entries
            if entry.volume.name == name
        ]
    )


def by_hand(values, brain, black, white):
    return np.where(brain, ((values.astype(float) - black) / (white - black)).clip(0, 1), 0).astype(np.float32)


@pytest.mark.parametrize("brain", ["mask", "nonzero", "all"])
def test_the_1st_and_99th_percentile_of_the_brain_are_black_and_white_and_the_background_is_black(tmp_path, rng, brain):
    values, inside = head(rng), brain_of()
    if brain == "mask":
        values[0, 0, 0] = 12000  # bright, and no brain
    save(tmp_path / "a.nii.gz", values)
    save(tmp_path / "b.nii", inside.astype(np.uint8))
    (tmp_path / "m.csv").write_text("image,brainmask\na.nii.gz,b.nii\n")
    manifest = read_manifest(tmp_path / "m.csv")
    counted = {"mask": inside, "nonzero": values != 0, "all": np.ones(SHAPE, bool)}[brain]
    black, white = np.percentile(values[counted].astype(float), (1, 99))
    expected = by_hand(values, counted, black, white)
    volume = manifest.entries[0].volume
    slices = shown(manifest, replace(QUANTILE, brain=brain))
    np.testing.assert_array_equal(volume.from_slices(slices[..., 0]), expected)
    assert (slices.min(), slices.max()) == (0.0, 1.0)


def test_two_modalities_are_scaled_each_by_itself(tmp_path):
    manifest = read_manifest(
        write_patients(tmp_path, splits=["train"], columns=["flair", "t1"]), options=VolumeOptions(channels=("t1", "flair"))
    )
    slices, volume = shown(manifest, QUANTILE), manifest.entries[0].volume
    for channel, path in enumerate(manifest.entries[0].files):
        values = decoded.read_voxels(path, decoded.read_header(path))[..., 0]
        black, white = np.percentile(values[brain_of()].astype(float), (1, 99))
        np.testing.assert_array_equal(
            volume.from_slices(slices[..., channel]), by_hand(values, brain_of(), black, white), err_msg=str(path)
        )
    assert [path.name for path in manifest.entries[0].files] == ["t1.nii.gz", "flair.nii.gz"]


def test_voxels_that_are_not_finite_are_black_count_nowhere_and_are_said(tmp_path, rng):
    values = head(rng).astype(np.float32)
    odd = [(2, 3, 2), (3, 3, 3), (4, 4, 1)]
    for at, number in zip(odd, (np.nan, np.inf, -np.inf), strict=True):
        values[at] = number
    save(tmp_path / "a.nii.gz", values)
    manifest = read_manifest(tmp_path / "a.nii.gz")
    assert [remark for remark in manifest.remarks if "NaN" in remark] == [
        f"{tmp_path / 'a.nii.gz'}: 3 of 360 voxels are NaN or infinite; they become black"
    ]
    volume = manifest.entries[0].volume
    counted = np.isfinite(values) & (values != 0)
    black, white = np.percentile(values[counted].astype(float), (1, 99))
    with np.errstate(invalid="ignore"):
        expected = by_hand(np.nan_to_num(values, posinf=0, neginf=0), counted, black, white)
    slices = volume.from_slices(shown(manifest, Normalisation("quantile", "nonzero"))[..., 0])
    np.testing.assert_array_equal(slices, expected)
    for normalisation in (None, Normalisation("quantile"), Normalisation("zscore", means=(400.0,), deviations=(50.0,))):
        slices = volume.from_slices(shown(manifest, normalisation, (-500.0, 1000.0))[..., 0])
        assert [slices[at] for at in odd] == [0, 0, 0]
        assert np.isfinite(slices).all()


def test_without_a_normalisation_the_range_is_that_of_pictures(tmp_path, rng):
    """Files of 8 bits have their own; of others it is the type's, or the one that is given; the brain mask is not opened."""
    bytes_ = rng.integers(0, 256, SHAPE).astype(np.uint8)
    for name, values in (("a", bytes_), ("b", bytes_.astype(np.uint16) * 250), ("c", head(rng))):
        save(tmp_path / f"{name}.nii.gz", values)
    found = {}
    for name, range_ in (("a", None), ("a", (0.0, 50.0)), ("b", None), ("c", (0.0, 800.0))):
        manifest = read_manifest(tmp_path / f"{name}.nii.gz")
        found[name, range_] = manifest.entries[0].volume.from_slices(shown(manifest, None, range_)[..., 0])
    np.testing.assert_array_equal(found["a", None], (bytes_ / 255).astype(np.float32))
    np.testing.assert_array_equal(found["a", (0.0, 50.0)], found["a", None])
    np.testing.assert_array_equal(found["b", None], (bytes_.astype(float) * 250 / 65535).astype(np.float32))
    numbers = np.asarray(decoded.read_voxels(tmp_path / "c.nii.gz", decoded.read_header(tmp_path / "c.nii.gz")))[..., 0]
    np.testing.assert_array_equal(found["c", (0.0, 800.0)], (numbers / 800).clip(0, 1).astype(np.float32))
    with pytest.raises(TedmError, match=r"c\.nii\.gz: values of kind int16 .*give --intensity-range, or --normalise quantile$"):
        shown(read_manifest(tmp_path / "c.nii.gz"), None)


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal", "0", "1", "2"])
def test_slices_along_each_axis_put_together_are_the_volume(tmp_path, rng, axis):
    values = rng.permutation(np.prod(SHAPE)).reshape(SHAPE).astype(np.uint16)
    save(tmp_path / "a.nii", values)
    save(tmp_path / "m.nii", labels_of())
    (tmp_path / "m.csv").write_text("image,mask\na.nii,m.nii\n")
    manifest = read_manifest(tmp_path / "m.csv", options=VolumeOptions(axis=axis))
    volume = manifest.entries[0].volume
    cut = {"axial": 2, "coronal": 1, "sagittal": 0}.get(axis)
    assert volume.axes[0] == (int(axis) if cut is None else cut)
    assert len(manifest.entries) == SHAPE[volume.axes[0]]
    np.testing.assert_array_equal(
        np.rint(volume.from_slices(shown(manifest, None, (0.0, 359.0))[..., 0]) * 359).astype(np.uint16), values
    )
    masks = np.stack([label_slice(entry) for entry in manifest.entries])
    np.testing.assert_array_equal(volume.from_slices(masks), labels_of())


def test_a_crop_beyond_the_slice_is_black_and_its_mask_ignored(tmp_path):
    manifest = read_manifest(write_patients(tmp_path, splits=["train"]), options=VolumeOptions(crop=11))
    whole = read_manifest(tmp_path / "manifest.csv")
    images, uncut = shown(manifest, QUANTILE), shown(whole, QUANTILE)
    assert images.shape == (5, 11, 11, 1)
    height, width = manifest.entries[0].volume.slice_size
    top, left = -((height - 11) // 2), -((width - 11) // 2)
    inside = np.zeros((11, 11), bool)
    inside[top : top + height, left : left + width] = True
    np.testing.assert_array_equal(images[:, inside].reshape(uncut.shape), uncut)
    assert not images[:, ~inside].any()
    for entry, same in zip(manifest.entries, whole.entries, strict=True):
        mask = manifest.read_mask(entry)
        assert (mask[~inside] == IGNORE).all()
        np.testing.assert_array_equal(mask[inside].reshape(height, width), whole.read_mask(same))


@pytest.mark.parametrize("brain", ["mask", "nonzero"])
def test_a_crop_to_the_brain_is_the_box_around_it_in_every_slice(tmp_path, brain):
    manifest = read_manifest(write_patients(tmp_path, splits=["train"]), options=VolumeOptions(crop="brain", brain=brain))
    whole = read_manifest(tmp_path / "manifest.csv")
    volume = whole.entries[0].volume
    inside = volume.to_slices(brain_of())
    rows, columns = inside.any(axis=(0, 2)), inside.any(axis=(0, 1))
    np.testing.assert_array_equal(shown(manifest, QUANTILE), shown(whole, QUANTILE)[:, rows][:, :, columns])
    assert {entry.size for entry in manifest.entries} == {volume.slice_size}


SIDES = st.integers(1, 9)
PARTS = st.builds(Slice, st.just(0), st.just(0), st.integers(-12, 12), st.integers(-12, 12), SIDES, SIDES)


@settings(deadline=None)
@given(SIDES, SIDES, PARTS)
def test_cropped_and_uncropped_are_inverse_of_each_other(height, width, at):
    plane = np.arange(1, height * width + 1, dtype=np.int32).reshape(height, width)
    part = cropped(plane, at, 0)
    assert part.shape == (at.height, at.width)
    back = uncropped(part, at, (height, width), 0)
    inside = np.zeros((height, width), bool)
    inside[max(at.top, 0) : max(at.top + at.height, 0), max(at.left, 0) : max(at.left + at.width, 0)] = True
    np.testing.assert_array_equal(back, np.where(inside, plane, 0))
    np.testing.assert_array_equal(cropped(back, at, 0), part)
    whole = Slice(0, 0)
    assert cropped(plane, whole, 0) is plane
    assert uncropped(plane, whole, plane.shape, 0) is plane


def test_a_volume_is_decoded_once_whoever_asks_for_its_slices(tmp_path, monkeypatch):
    manifest = read_manifest(write_patients(tmp_path, splits=["train", "train"]))
    calls, read = [], decoded.read_voxels
    monkeypatch.setattr(decoded, "read_voxels", lambda path, header: calls.append(path) or read(path, header))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda entry: open_volume(entry, intensity_range=None, normalisation=QUANTILE), manifest.entries))
    assert sorted(path.parent.name for path in calls) == ["p0", "p1"]


def test_only_the_last_volumes_stay_in_memory(tmp_path):
    manifest = read_manifest(write_patients(tmp_path, splits=["train"] * 4))
    for entry in manifest.entries:
        open_volume(entry, intensity_range=None, normalisation=QUANTILE)
        label_slice(entry)
    assert len(opened._OPEN._made) == len(opened._LABELS._made) == opened.KEPT


def test_a_file_that_became_another_volume_meanwhile_is_refused_and_read_once(tmp_path, rng, monkeypatch):
    save(tmp_path / "a.nii.gz", head(rng))
    manifest = read_manifest(tmp_path / "a.nii.gz")
    moved = OBLIQUE.copy()
    moved[0, 3] += 5
    save(tmp_path / "a.nii.gz", head(rng), moved)
    calls, read = [], decoded.read_header
    monkeypatch.setattr(decoded, "read_header", lambda path, **more: calls.append(path) or read(path, **more))
    for entry in manifest.entries:
        with pytest.raises(TedmError, match=r"a\.nii\.gz and the volume a lie up to 5 mm apart"):
            open_volume(entry, intensity_range=None, normalisation=Normalisation("quantile"))
    assert len(calls) == 1


def test_a_normalisation_in_a_mask_that_is_not_there_is_refused(tmp_path, rng):
    save(tmp_path / "a.nii.gz", head(rng))
    entry = read_manifest(tmp_path / "a.nii.gz").entries[0]
    with pytest.raises(TedmError, match=r"a\.nii\.gz: it has no brain mask; name one in the column brainmask, or say --brain"):
        open_volume(entry, intensity_range=None, normalisation=QUANTILE)
