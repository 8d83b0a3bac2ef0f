"""Scores of whole volumes: equal to those by hand at the volumes' own resolution, against the masks' own files."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance
from scans import CLASSES, OBLIQUE, image_of, labels_of, voxels_in, write_table, write_volume

from tedm.errors import TedmError
from tedm.extract import extract, load_backbone, read_manifest
from tedm.heads import Cleaning, Segmenter, evaluate, load_head, summarise
from tedm.store import FeatureStore
from tedm.study import evaluate_heads, predict_folder
from tedm.study.volume_scores import score_volumes

TEST = {"three": ".nii.gz", "again": ".nii", "four": ".nrrd"}


@pytest.fixture(scope="module")
def store(volume_study: Path) -> FeatureStore:
    return FeatureStore.open(volume_study / "store")


@pytest.fixture(scope="module")
def heads(volume_study: Path) -> dict[str, Segmenter]:
    return {name: load_head(volume_study / name) for name in ("tedm", "probe")}


@pytest.fixture(scope="module")
def predicted(volume_study: Path, heads, tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """For each head what it makes of each test volume, from the files that tedm-predict writes."""
    found = {}
    for name, head in heads.items():
        folder = tmp_path_factory.mktemp("predicted") / name
        predict_folder(folder, head, volume_study / "store")
        found[name] = {
            volume: voxels_in(folder / f"{volume}{ending.replace('.nii', '.nii.gz') if ending == '.nii' else ending}")[0]
            for volume, ending in TEST.items()
        }
    return found


def scored(store, heads, truth, **more):
    return score_volumes(store, heads, truth, split="test", domain=None, **more)


def by_hand(truth: np.ndarray, mask: np.ndarray, value: int) -> dict[str, float]:
    """The four ratios of a class, from their definitions."""
    true, found = truth == value, mask == value
    both = (true & found).sum()
    return {
        "dice": 2 * both / (true.sum() + found.sum()),
        "precision": both / found.sum() if found.any() else np.nan,
        "recall": both / true.sum(),
        "iou": both / (true | found).sum(),
    }


def test_scores_are_those_by_hand_at_the_volumes_own_resolution_for_two_heads(volume_study, store, heads, predicted):
    told: list[tuple[int, int]] = []
    records = scored(store, heads, volume_study / "manifest.csv", progress=lambda *at: told.append(at))
    assert [(r.method, r.image, r.class_value) for r in records] == [
        (heads[head].label, volume, value) for volume in TEST for head in heads for value in CLASSES
    ]
    keys = {head.label: key for key, head in heads.items()}
    for record in records:
        truth = voxels_in(volume_study / "masks" / f"{record.image}{TEST[record.image]}")[0]
        expected = by_hand(truth, predicted[keys[record.method]][record.image], record.class_value)
        for measure, value in expected.items():
            np.testing.assert_allclose(getattr(record, measure), value, rtol=1e-12)
        assert (record.resolution, record.split, record.domain) == ("volume", "test", "here")
        assert np.isnan(record.hd95)
    assert told == [(number, 22) for number in range(1, 23)]  # 11 slices, 2 heads
    of_slices = evaluate(store, heads)
    assert {record.image for record in of_slices} == set(store.labels.select(split="test"))
    table, slices = summarise(records), summarise(of_slices)
    assert [cell.images for cell in table.cells] == [3, 3]
    assert abs(table.cells[0].mean - slices.cells[0].mean) > 1  # at feature resolution, slice by slice, it is another number


def test_masks_that_follow_edges_are_scored_as_they_are_written_and_called_so(
    volume_study, store, heads, predicted, checkpoint, tmp_path
):
    truth, one = volume_study / "manifest.csv", {"tedm": heads["tedm"]}
    predict_folder(
        tmp_path / "edges", heads["tedm"], truth, backbone=load_backbone(checkpoint), split="test", device="cpu", edges=True
    )
    records = scored(store, one, truth, edges=True)
    assert {record.method for record in records} == {f"{heads['tedm'].label}+edges"}
    for record in records:
        file = next((tmp_path / "edges").glob(f"{record.image}.n*"))
        expected = by_hand(
            voxels_in(volume_study / "masks" / f"{record.image}{TEST[record.image]}")[0], voxels_in(file)[0], record.class_value
        )
        np.testing.assert_allclose(record.dice, expected["dice"], rtol=1e-12)
    assert [record.dice for record in records] != [record.dice for record in scored(store, one, truth)]
    with pytest.raises(TedmError, match="--edges is of images at their own size, and these scores are at feature resolution"):
        evaluate_heads(store, one, edges=True)


def test_images_that_are_others_than_the_features_are_give_no_edges(volume_study, store, heads, tmp_path):
    shutil.copytree(volume_study, tmp_path / "other")
    image = next((tmp_path / "other" / "images").glob("three*"))
    shutil.copy(next(path for path in (volume_study / "images").glob("again*")), image)
    with pytest.raises(TedmError):
        scored(store, heads, tmp_path / "other" / "manifest.csv", edges=True)


def test_the_mean_is_over_volumes_and_two_scans_of_a_patient_are_of_one_group(volume_study, store, heads):
    records = scored(store, heads, volume_study / "manifest.csv")
    assert {(record.image, record.group) for record in records} == {("three", "p3"), ("again", "p3"), ("four", "p4")}
    table = summarise(records)
    mine = [
        [
            np.mean([r.dice for r in records if (r.method, r.image) == (cell.method, volume) and r.class_value])
            for volume in TEST
        ]
        for cell in table.cells
    ]
    assert [cell.mean for cell in table.cells] == pytest.approx([100 * np.mean(each) for each in mine])
    assert [(cell.images, cell.groups) for cell in table.cells] == [(3, 2)] * 2
    assert "volumes of one group are tested as if they were independent" in table.to_text()
    assert "scored at volume resolution" in table.to_text()
    other = summarise([record for record in records if record.image != "again"])
    assert "of one group" not in other.to_text()


def test_voxels_without_a_label_count_nowhere(volume_study, store, heads, predicted, tmp_path):
    rows = [["image", "mask", "split", "patient"]]
    for name, ending in TEST.items():
        labels, affine = voxels_in(volume_study / "masks" / f"{name}{ending}")
        labels = labels.copy()
        labels[2:5] = 77
        write_volume(tmp_path / f"{name}{ending}", labels, affine)
        rows.append([str(volume_study / "images" / f"{name}{ending}"), f"{name}{ending}", "test", "p"])
    table = write_table(tmp_path / "manifest.csv", rows)
    with pytest.raises(TedmError, match=r"(?s)mask .*three.nii.gz: .*77"):
        scored(store, heads, table)
    for record in scored(store, {"tedm": heads["tedm"]}, table, ignore=77):
        truth = voxels_in(tmp_path / f"{record.image}{TEST[record.image]}")[0]
        mask = np.where(truth == 77, 77, predicted["tedm"][record.image])
        assert record.dice == pytest.approx(by_hand(truth, mask, record.class_value)["dice"])


def test_cleaned_masks_are_scored_beside_plain_ones_in_three_dimensions(volume_study, store, heads, tmp_path):
    cleaning = Cleaning(largest=1, min_area=3)
    records = scored(store, {"tedm": heads["tedm"]}, volume_study / "manifest.csv", cleaning=cleaning)
    assert {record.method for record in records} == {"tedm", f"tedm+{cleaning}"}
    predict_folder(tmp_path / "masks", heads["tedm"], volume_study / "store", cleaning=cleaning)
    truth = voxels_in(volume_study / "masks" / "four.nrrd")[0]
    mask = voxels_in(tmp_path / "masks" / "four.nrrd")[0]
    [dice] = [r.dice for r in records if (r.method, r.image, r.class_value) == (f"tedm+{cleaning}", "four", 4)]
    assert dice == pytest.approx(by_hand(truth, mask, 4)["dice"])


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of an argument that MONAI itself passes on
def test_distances_are_monais_in_the_files_own_axes_and_millimetres(volume_study, store, heads, predicted):
    records = scored(store, {"tedm": heads["tedm"]}, volume_study / "manifest.csv", distances=True, tolerance=2.5)
    for record in (each for each in records if each.class_value):
        truth, affine = voxels_in(volume_study / "masks" / f"{record.image}{TEST[record.image]}")
        masks = [
            torch.from_numpy((each == record.class_value)[None, None]) for each in (predicted["tedm"][record.image], truth)
        ]
        spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).tolist()
        mine = compute_hausdorff_distance(*masks, include_background=True, percentile=95, spacing=spacing).item()
        assert record.hd95 == pytest.approx(mine, rel=1e-5)
        assert record.tolerance == 2.5
        assert 0 < record.nsd <= 1


def test_class_names_of_the_store_stand_in_the_records(volume_study, heads, tmp_path):
    shutil.copytree(volume_study / "store", tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    store.name_classes(("background", "left caudate", "tumour"))
    store = FeatureStore.open(tmp_path / "store")
    records = scored(store, {"tedm": heads["tedm"]}, volume_study / "manifest.csv")
    assert {record.class_name for record in records} == {"background", "left caudate", "tumour"}
    assert "here, left caudate: Dice" in summarise(records, by_class=True).to_text()


def changed_mask(study: Path, folder: Path, name: str, change) -> Path:
    """A copy of the masks and their manifest in which one is another."""
    shutil.copytree(study / "masks", folder / "masks")
    labels, affine = voxels_in(study / "masks" / f"{name}{TEST[name]}")
    write_volume(folder / "masks" / f"{name}{TEST[name]}", *change(labels, affine))
    text = (study / "manifest.csv").read_text().replace("images/", f"{study}/images/")
    (folder / "manifest.csv").write_text(text)
    return folder / "manifest.csv"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "three",
            lambda labels, affine: (labels[:, :, 1:], affine),
            "10 x 13 x 3 voxels and the volume three 10 x 13 x 4; resample",
        ),
        (
            "four",
            lambda labels, affine: (labels.transpose(1, 0, 2), affine),
            "9 x 12 x 4 voxels and the volume four 12 x 9 x 4",
        ),
        ("again", lambda labels, affine: (labels, affine + np.eye(4, k=3) * 4), "lie up to 4 mm apart"),
        ("three", lambda labels, affine: (labels[::-1], affine @ np.diag([-1, 1, 1, 1])), "mm apart"),
        ("four", lambda labels, affine: (labels + 1, affine), "values that are no class|1, 5, 10|holds 1"),
    ],
)
def test_a_mask_of_another_volume_or_of_other_classes_is_refused_before_the_work(
    volume_study, store, heads, tmp_path, name, change, said
):
    table = changed_mask(volume_study, tmp_path, name, change)
    with pytest.raises(TedmError, match=said) as caught:
        scored(store, heads, table, progress=_begun)
    assert len(str(caught.value).splitlines()) == 2  # the table, and the line of this file
    assert f"masks/{name}" in str(caught.value)


def test_volumes_that_cannot_be_scored_are_refused_before_the_work(volume_study, store, heads, extracted, fitted, tmp_path):
    rows = (
        (volume_study / "manifest.csv")
        .read_text()
        .replace("images/", f"{volume_study}/images/")
        .replace("masks/", f"{volume_study}/masks/")
        .splitlines()
    )
    without = tmp_path / "without.csv"
    without.write_text("\n".join(row for row in rows if "again" not in row and "four" not in row))
    missing = pytest.raises(TedmError, match=r"without.csv has no mask of volumes that are to be scored; .*\n  again\n  four$")
    with missing:
        scored(store, heads, without, progress=_begun)
    other = {"tedm": replace(heads["tedm"], classes=(0, 1, 2))}
    with pytest.raises(TedmError, match=r"the head tedm knows the mask values \[0, 1, 2\], the features have \[0, 4, 9\]"):
        scored(store, other, volume_study / "manifest.csv", progress=_begun)
    pictures = FeatureStore.open(extracted)
    with pytest.raises(TedmError, match=r"^the store has no labelled volume of this split and domain; leave out --volumes"):
        scored(pictures, {"tedm": load_head(fitted)}, volume_study / "manifest.csv", progress=_begun)
    with pytest.raises(TedmError, match="has learned from, or was chosen on"):
        score_volumes(store, heads, volume_study / "manifest.csv", split="train", domain=None, progress=_begun)
    with pytest.raises(TedmError, match="nowhere.csv: no such file or folder"):
        scored(store, heads, tmp_path / "nowhere.csv", progress=_begun)
    with pytest.raises(TedmError, match="tolerance of a surface must be a number of millimetres"):
        scored(store, heads, volume_study / "manifest.csv", distances=True, tolerance=float("nan"), progress=_begun)


def test_distances_without_monai_are_refused_before_the_work(volume_study, store, heads, monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "monai"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TedmError, match=r"pip install 'tedm\[volumes\]'"):
        scored(store, heads, volume_study / "manifest.csv", distances=True, progress=_begun)


def test_slices_that_training_dropped_are_missed_by_name(volume_study, checkpoint, heads, tmp_path):
    from tedm.extract.images import VolumeOptions

    for what in ("images", "masks"):
        write_volume(
            tmp_path / what / "v.nii", labels_of((9, 9, 6), 3) if what == "masks" else image_of(labels_of((9, 9, 6), 3), 3)
        )
    empty = nib.load(tmp_path / "masks" / "v.nii")
    labels = np.asanyarray(empty.dataobj).copy()
    labels[..., 4:], labels[0, 0, 0] = 0, 0
    write_volume(tmp_path / "masks" / "v.nii", labels, OBLIQUE)
    table = write_table(tmp_path / "manifest.csv", [["image", "mask", "split"], ["images/v.nii", "masks/v.nii", "train"]])
    manifest = read_manifest(table, classes=CLASSES, options=VolumeOptions(drop_empty="train"))
    quick = {"timesteps": (1, 50), "layout": "native", "precision": "float32", "threads": 1, "device": "cpu"}
    store = extract(manifest, tmp_path / "store", load_backbone(checkpoint), **quick).store
    with pytest.raises(TedmError, match=r"volume v: \d of its 6 slices are not in the store \(.*4, 5\)$"):
        score_volumes(store, heads, table, split="train", domain=None, progress=_begun)


def test_pictures_that_are_left_out_are_said(volume_study, dataset, checkpoint, heads, tmp_path):
    rows = [["image", "mask", "split"], [str(dataset.parent / "images" / "scan 5.png"), str(tmp_path / "scan 5.png"), "test"]]
    rows.append([str(volume_study / "images" / "four.nrrd"), str(volume_study / "masks" / "four.nrrd"), "test"])
    from PIL import Image

    with Image.open(dataset.parent / "masks" / "scan 5.png") as mask:
        Image.fromarray((np.asarray(mask) > 0).astype(np.uint8) * 4).save(tmp_path / "scan 5.png")
    table = write_table(tmp_path / "manifest.csv", rows)
    quick = {"timesteps": (1, 50), "layout": "native", "precision": "float32", "threads": 1, "device": "cpu"}
    store = extract(read_manifest(table), tmp_path / "store", load_backbone(checkpoint), **quick).store
    said: list[str] = []
    records = scored(store, {"tedm": heads["tedm"]}, table, log=said.append)
    assert {record.image for record in records} == {"four"}
    assert said == ["note: 1 labelled picture of the store left out: --volumes scores volumes"]


def _begun(done: int, count: int) -> None:
    raise AssertionError("slices are predicted")
