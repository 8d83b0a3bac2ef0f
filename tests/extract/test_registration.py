"""Patients from files to a store, a head and new files: which images a run takes, and whose numbers make black and white."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from volume_files import OBLIQUE, brain_of, head, save, write_patients

from tedm.errors import TedmError
from tedm.extract.backbones import random_backbone
from tedm.extract.estimate import _some
from tedm.extract.images import VolumeOptions, read_manifest, square, to_square_image
from tedm.extract.registration import normalisation_of, registrations, settled, share_of, whole_images
from tedm.extract.run import extract
from tedm.extract.sources import as_read
from tedm.store.volumes.normalisation import Normalisation

QUANTILE, ZSCORE = Normalisation("quantile"), Normalisation("zscore")
HOW = {"timesteps": (1,), "layout": "native", "device": "cpu", "precision": "float32", "threads": 1}


def stored(manifest, path, normalisation=QUANTILE, **more):
    return extract(manifest, path, more.pop("backbone", random_backbone()), normalisation=normalisation, **{**HOW, **more})


def again(source, path, normalisation=QUANTILE, *, options=VolumeOptions(), **more):  # noqa: B008
    """What tedm-extract does when it is run again."""
    manifest = read_manifest(source, known=whole_images(path), as_read=as_read(path), options=options)
    return stored(manifest, path, normalisation, **more)


def add(source, patient, what, *, affine=OBLIQUE, where=np.s_[:]):
    """Change a patient's brain voxels."""
    path = source.parent / patient / "image.nii.gz"
    values = np.asarray(nibabel.load(path).dataobj)
    change = np.zeros(values.shape)
    change[where] = what
    save(path, (values + change * brain_of()).astype(np.int16), affine)


def test_the_brain_is_where_the_manifest_says_unless_the_user_says_otherwise(tmp_path):
    manifest = read_manifest(write_patients(tmp_path, splits=["train"]))
    without = replace(manifest, entries=tuple(replace(entry, brain=None) for entry in manifest.entries))
    nonzero = replace(manifest, options=VolumeOptions(brain="nonzero"))
    assert settled(QUANTILE, manifest, None).brain == "mask"
    assert settled(QUANTILE, without, None).brain == "all"
    assert settled(QUANTILE, nonzero, None).brain == "nonzero"
    assert settled(replace(QUANTILE, brain="nonzero"), manifest, None).brain == "nonzero"


def test_numbers_that_are_there_stay_and_those_of_a_store_are_taken(tmp_path):
    manifest = read_manifest(write_patients(tmp_path, splits=["train", "test"]))
    numbers = replace(ZSCORE, brain="mask", means=(7.0,), deviations=(2.0,), patients=("x",))
    assert settled(numbers, manifest, None) == numbers
    assert settled(ZSCORE, manifest, numbers) == numbers
    other = settled(replace(ZSCORE, reach=2.0), manifest, numbers)
    assert other == replace(ZSCORE, brain="mask", reach=2.0)  # refused as other settings, without reading a voxel


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_volume_goes_to_one_shard(tmp_path, count):
    manifest = read_manifest(write_patients(tmp_path))
    shares = [share_of(manifest, (first, count)) for first in range(count)]
    assert sorted(at for share in shares for at in share) == list(range(len(manifest.entries)))
    patients = [{manifest.entries[at].volume.name for at in share} for share in shares]
    assert sum(map(len, patients)) == 4
    assert max(map(len, patients)) - min(map(len, patients)) <= 1
    with pytest.raises(TedmError, match=f"there is no shard {count}/{count}; write i/n"):
        share_of(manifest, (count, count))


def test_shards_of_volumes_end_in_one_store(tmp_path):
    manifest = read_manifest(write_patients(tmp_path / "data", splits=["train", "test", "test"]))
    whole = stored(manifest, tmp_path / "whole", ZSCORE).store
    counts = [stored(manifest, tmp_path / "parts", ZSCORE, shard=(part, 2)).computed for part in (1, 0)]
    assert counts == [5, 10]
    files = {key: (tmp_path / "whole" / key).read_bytes() for key in whole.files()}
    assert {key: (tmp_path / "parts" / key).read_bytes() for key in whole.files()} == files


def test_the_image_of_a_store_has_the_brains_percentiles_as_black_and_white(tmp_path):
    source = write_patients(tmp_path / "data", splits=["train", "test"], columns=["flair", "t1"])
    manifest = read_manifest(source, options=VolumeOptions(channels=("t1", "flair"), crop=16))
    store = stored(manifest, tmp_path / "store", backbone=random_backbone(image_channels=2)).store
    assert store.settings.normalisation == replace(QUANTILE, brain="mask")
    assert (store.settings.axis, store.settings.crop, store.settings.channel_names) == ("axial", 16, ("t1", "flair"))
    for patient in ("p0", "p1"):
        for channel, name in enumerate(("t1", "flair")):
            values = np.asarray(nibabel.load(source.parent / patient / f"{name}.nii.gz").dataobj).astype(float)
            black, white = np.percentile(values[brain_of()], (1, 99))
            for index in range(5):
                image = store.image(f"{patient}_{index:03d}")[..., channel]  # 16 x 16 voxels are shown as they are
                expected = np.where(brain_of(), ((values - black) / (white - black)).clip(0, 1), 0)
                own = store.labels.volume_of(f"{patient}_{index:03d}").slice_of(expected, index).astype(np.float32)
                top, left = -((own.shape[0] - 16) // 2), -((own.shape[1] - 16) // 2)
                np.testing.assert_array_equal(image[top : top + own.shape[0], left : left + own.shape[1]], own)
                assert image.sum() == pytest.approx(own.sum())  # and black around it
    images = np.stack([store.image(f"p0_{index:03d}") for index in range(5)])
    assert (images.min(), images.max()) == (0.0, 1.0)


@pytest.mark.parametrize("patient", ["p0", "p2", "p3"])
def test_settings_see_training_patients_alone(tmp_path, patient):
    source = write_patients(tmp_path / "data")
    before = stored(read_manifest(source), tmp_path / "a", ZSCORE).store.settings
    assert before.normalisation.patients == ("p0", "p1")
    add(source, patient, 300)
    after = stored(read_manifest(source), tmp_path / "b", ZSCORE).store.settings
    assert (after == before) is (patient != "p0")


def test_a_store_that_grows_keeps_its_numbers_and_they_reach_head_and_new_files(tmp_path):
    from click.testing import CliRunner

    from tedm.cli import fit
    from tedm.heads import load_head
    from tedm.study import live_features

    source = write_patients(tmp_path / "data")
    few = source.with_name("few.csv")
    lines = source.read_text().splitlines()
    few.write_text("\n".join([*lines[:2], lines[4], ""]))  # p0 to train, p3 to test
    backbone, path = random_backbone(), tmp_path / "store"
    first = stored(read_manifest(few), path, ZSCORE).store
    numbers = first.settings.normalisation
    assert numbers.patients == ("p0",)
    images = {name: first.image(name) for name in first.labels.names}
    done = again(source, path, ZSCORE)
    assert (done.computed, done.reused) == (10, 10)
    assert done.store.settings.normalisation == normalisation_of(path) == numbers
    for name, image in images.items():
        np.testing.assert_array_equal(done.store.image(name), image)

    result = CliRunner().invoke(fit.main, [str(path), str(tmp_path / "head"), "--timesteps", "1", "--head", "logistic"])
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "head" / "head.json").read_text())
    assert json.dumps(list(numbers.means)) in json.dumps(kept)
    fitted = load_head(tmp_path / "head")
    assert fitted.settings.normalisation == numbers

    new = write_patients(tmp_path / "new", splits=["test"], masks=False)
    add(new, "p0", 900)
    live = live_features(fitted, new, backbone, device="cpu")
    values = np.asarray(nibabel.load(new.parent / "p0" / "image.nii.gz").dataobj).astype(float)
    black, reach = numbers.means[0] - 3 * numbers.deviations[0], 6 * numbers.deviations[0]
    expected = np.where(brain_of(), ((values - black) / reach).clip(0, 1), 0).astype(np.float32)
    entry = live._entries["p0_003"]
    rows = square.rows_of(entry, channels=1, intensity_range=None, normalisation=numbers)
    np.testing.assert_array_equal(rows[:][..., 0], live.labels.volumes[0].slice_of(expected, 3))
    np.testing.assert_array_equal(live.image("p0_003"), to_square_image(rows, 16, "pad"))


@pytest.mark.parametrize("lost", [["p1_002"], ["p0_000", "p0_004"], [f"p1_{index:03d}" for index in range(5)]])
def test_slices_that_are_missing_after_an_interruption_are_computed(tmp_path, lost):
    source, path = write_patients(tmp_path / "data", splits=["train", "test"]), tmp_path / "store"
    store = stored(read_manifest(source), path).store
    before = {key: (path / key).read_bytes() for key in store.files()}
    store.discard(lost)
    done = again(source, path)
    assert (done.computed, done.reused) == (len(lost), 10 - len(lost))
    assert {key: (path / key).read_bytes() for key in done.store.files()} == before


def test_another_normalisation_than_the_stores_is_said_with_both(tmp_path):
    manifest = read_manifest(write_patients(tmp_path / "data", splits=["train", "test"]))
    stored(manifest, tmp_path / "store", ZSCORE)
    with pytest.raises(TedmError) as refused:
        stored(manifest, tmp_path / "store", QUANTILE)
    assert (
        "normalisation: the store has mean and deviation in the brain mask over 1 training patients, 3 deviations to white, "
        "this run has quantiles 0.01 and 0.99 in the brain mask"
    ) in str(refused.value)


def test_after_a_volume_changed_all_its_slices_are_computed_anew(tmp_path):
    source, path = write_patients(tmp_path / "data", splits=["train", "test"]), tmp_path / "store"
    stored(read_manifest(source), path)
    assert again(source, path).computed == 0
    add(source, "p1", 200, where=np.s_[:4])
    with pytest.raises(TedmError, match=r"4 images changed since .*; tedm-extract --update computes them anew"):
        again(source, path)
    done = again(source, path, update=True)
    assert (done.computed, done.reused) == (4, 6)  # the first slice is black in both
    fresh = stored(read_manifest(source), tmp_path / "fresh").store
    for name in fresh.labels.names:
        np.testing.assert_array_equal(done.store.image(name), fresh.image(name))
    assert again(source, path).computed == 0


def test_a_volume_that_moved_is_refused_and_nothing_is_lost(tmp_path):
    source, path = write_patients(tmp_path / "data", splits=["train", "test"]), tmp_path / "store"
    before = stored(read_manifest(source), path).store.files()
    moved = OBLIQUE.copy()
    moved[0, 3] += 5
    for part in ("image", "mask", "brain"):
        file = source.parent / "p1" / f"{part}.nii.gz"
        save(file, np.asarray(nibabel.load(file).dataobj), moved)
    for update in (False, True):
        with pytest.raises(TedmError, match="volumes changed their shape or affine since") as refused:
            again(source, path, update=update)
        assert str(refused.value).count("\n") == 1
    longer = head(np.random.default_rng(1), shape=(8, 9, 7))
    for part in ("image", "mask", "brain"):
        save(source.parent / "p1" / f"{part}.nii.gz", longer if part == "image" else (longer > 0).astype(np.uint8) * 3)
    with pytest.raises(TedmError, match=r"p1/image\.nii\.gz: \(8, 9, 7\).*the store's p1: \(8, 9, 5\)"):
        again(source, path, update=True)
    assert normalisation_of(path) == replace(QUANTILE, brain="mask")
    assert stored(read_manifest(source), tmp_path / "other").store.files() != before
    assert before == {key: (path / key).stat().st_size for key in before}


def test_a_trial_takes_neighbouring_slices_and_pictures_from_everywhere(tmp_path):
    manifest = read_manifest(write_patients(tmp_path))
    some = _some(manifest, list(range(20)), 5)
    assert len({entry.volume.name for entry in some.entries}) <= 2
    pictures = replace(manifest, entries=tuple(replace(entry, volume=None) for entry in manifest.entries))
    assert [entry.name for entry in _some(pictures, list(range(20)), 4).entries] == ["p0_000", "p1_000", "p2_000", "p3_000"]


def test_masks_enter_at_feature_resolution_but_for_images_that_are_there(tmp_path):
    manifest = read_manifest(write_patients(tmp_path / "data", splits=["train"]))
    store = stored(manifest, tmp_path / "store").store
    new = registrations(manifest, store.settings, skip={"p0_000", "p0_001"})
    assert [image.name for image in new] == ["p0_002", "p0_003", "p0_004"]
    np.testing.assert_array_equal(new[0].mask.unpacked(), store.mask("p0_002"))


def test_a_volume_that_cannot_be_scaled_is_said_once_and_the_others_are_finished(tmp_path):
    source = write_patients(tmp_path / "data", splits=["train", "test"])
    save(source.parent / "p0" / "image.nii.gz", (brain_of() * 7).astype(np.int16))
    with pytest.raises(TedmError) as refused:
        stored(read_manifest(source), tmp_path / "store")
    assert str(refused.value).startswith("5 of 10 images could not be read; all others are in")
    assert str(refused.value).count("its quantiles 0.01 and 0.99 are both 7") == 1
