"""A raw data set of nnU-Net has the store's pixels, labels and splits, where they lie."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from tedm.errors import TedmError
from tedm.extract import read_manifest
from tedm.extract.images import VolumeOptions
from tedm.store import IGNORE, FeatureStore, Registration
from tedm.store.volumes.normalisation import Normalisation
from tedm.study import export_nnunet

PLAIN = np.diag([-1.5, 1.0, 2.0, 1.0])
PLAIN[:3, 3] = 10, -5, 3
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix() @ np.diag([-1.0, 2.0, 0.7])
OBLIQUE[:3, 3] = 9, -12.5, 31


def document(folder: Path, name: str = "dataset.json"):
    return json.loads((folder / name).read_text())


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def integrity(folder: Path) -> None:
    """What nnU-Net's own `verify_dataset_integrity` asks of a data set, by its documentation and source."""
    about = document(folder)
    assert {"labels", "channel_names", "numTraining", "file_ending"} <= set(about)
    ending, count = about["file_ending"], len(about["channel_names"])
    cases = {path.name[: -len(ending) - 5] for path in (folder / "imagesTr").iterdir()}
    assert len(cases) == about["numTraining"]
    values = sorted(about["labels"].values())
    assert values == list(range(len(values)))
    assert about["labels"]["background"] == 0
    assert about["labels"].get("ignore", values[-1]) == values[-1]
    for images, labels in (("imagesTr", "labelsTr"), ("imagesTs", "labelsTs")):
        for path in (folder / labels).glob(f"*{ending}") if (folder / labels).is_dir() else ():
            case = path.name[: -len(ending)]
            own = re.compile(re.escape(case) + r"_\d\d\d\d" + re.escape(ending))
            files = sorted(file for file in (folder / images).iterdir() if own.fullmatch(file.name))
            assert [file.name[-len(ending) - 4 : -len(ending)] for file in files] == [f"{at:04d}" for at in range(count)]
            (truth, place), *channels = [read(file) for file in (path, *files)]
            assert set(np.unique(truth)) <= set(values)
            for channel, its in channels:
                assert channel.shape == truth.shape
                assert np.isfinite(channel).all()
                assert np.array_equal(its, place)
    train = {path.name[: -len(ending)] for path in (folder / "labelsTr").iterdir()}
    assert train == cases
    if (folder / "splits_final.json").exists():
        for fold in document(folder, "splits_final.json"):
            assert set(fold["train"]) | set(fold["val"]) == train
            assert set(fold["train"]) & set(fold["val"]) == set()


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return np.asarray(picture), np.eye(4)
    file = nib.load(path)
    return np.asarray(file.dataobj), file.affine


def test_pictures_are_written_without_their_padding_and_read_back_as_they_are(dataset, store_of, tmp_path):
    """Seven pictures of 20 x 26 to 26 x 20 pixels, at 16 x 16."""
    store = store_of(tmp_path / "store", dataset)
    out = tmp_path / "raw" / "Dataset501_Blobs"
    done = export_nnunet(store, out)
    assert done.cases == {"train": 4, "val": 0, "test": 3}
    assert done.labels == ("background", "class 255")
    integrity(out)
    assert document(out) == {
        "channel_names": {"0": "image"},
        "labels": {"background": 0, "class 255": 1},
        "numTraining": 4,
        "file_ending": ".png",
    }
    again = read_manifest(out)
    assert again.remarks == ()
    assert (again.classes, again.class_names) == ((0, 1), ("background", "class 255"))
    splits = dict(zip(store.labels.names, store.labels.splits, strict=True))
    assert {entry.name: entry.split for entry in again.entries} == splits
    for entry in again.entries:
        mask, square = store.mask(entry.name), store.image(entry.name)[..., 0]
        inside = mask != IGNORE  # of these pictures all pixels have labels: only padding has none
        rows, columns = inside.any(axis=1), inside.any(axis=0)
        assert entry.size == (rows.sum(), columns.sum())
        assert min(entry.size) < 16 or entry.name == "scan 3"
        assert np.array_equal(again.read_mask(entry), mask[np.ix_(rows, columns)])
        assert np.abs(read(entry.image)[0] / 65535 - square[np.ix_(rows, columns)]).max() <= 0.51 / 65535


def test_grey_levels_of_eight_bits_come_through_as_they_are(store_of, tmp_path, rng):
    (tmp_path / "d" / "images").mkdir(parents=True)
    (tmp_path / "d" / "masks").mkdir()
    grey = rng.integers(0, 256, (16, 16)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "d/images/a.png")
    Image.fromarray(grey % 2).save(tmp_path / "d/masks/a.png")
    export_nnunet(store_of(tmp_path / "store", tmp_path / "d"), tmp_path / "Dataset001_A")
    assert np.array_equal(read(tmp_path / "Dataset001_A/imagesTr/a_0000.png")[0], grey.astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("affine", "options", "changes"),
    [
        (PLAIN, {}, {}),
        (OBLIQUE, {}, {}),
        (OBLIQUE, {"axis": "coronal"}, {"geometry": "stretch"}),
        (PLAIN, {"axis": "sagittal"}, {"image_size": 12}),
        (OBLIQUE, {"axis": "0", "crop": 6}, {"image_size": 10}),
        (PLAIN, {"crop": 12}, {"image_size": 8}),
        (np.diag([2.0, -1.0, -1.0, 1.0]), {"crop": 5, "axis": "1"}, {"geometry": "stretch"}),
    ],
)
def test_a_point_has_the_same_millimetres_in_the_exported_file(store_of_volumes, tmp_path, affine, options, changes):
    """Intensities are millimetres: what is stored at a voxel is where the voxel lies, by the affine of the file itself."""
    store = store_of_volumes(affine, options=options, **changes)
    out = tmp_path / "Dataset007_Ramps"
    export_nnunet(store, out)
    integrity(out)
    for number, part in enumerate(("Tr", "Tr", "Ts")):
        files = [nib.load(out / f"images{part}" / f"case {number}_{at:04d}.nii.gz") for at in range(3)]
        told = np.stack([np.asarray(file.dataobj) * 400 - 200 for file in files])
        lie = np.einsum("ij,jxyz->ixyz", files[0].affine, np.stack([*np.indices(told.shape[1:]), np.ones(told.shape[1:])]))[:3]
        (cut,) = {store.labels.volumes[number].axes[0]}
        inner = tuple(slice(None) if axis == cut else slice(2, -2) for axis in range(3))
        apart = np.sqrt(((told - lie) ** 2).sum(axis=0))[inner]
        assert apart.size > 0
        original = nib.load(tmp_path / "volumes" / f"p{number}-mask.nii.gz")
        assert apart.max() < 0.1 * min(np.sqrt((original.affine[:3, :3] ** 2).sum(axis=0)))  # resizing shifts a ramp by 5 %
        truth = np.asarray(nib.load(out / f"labels{part}" / f"case {number}.nii.gz").dataobj)
        voxels = np.einsum("ij,jxyz->ixyz", np.linalg.inv(original.affine), np.concatenate([lie, np.ones_like(lie[:1])]))[:3]
        clear = (np.abs(np.abs(voxels - np.rint(voxels)) - 0.5) > 1e-3).all(axis=0)  # a centre on a border is of either
        assert clear.mean() > 0.2
        nearest = np.asarray(original.dataobj)[tuple(np.rint(voxels).astype(int))]
        assert np.array_equal(truth[clear], np.searchsorted([0, 3, 9], nearest[clear]))


def test_volumes_are_read_back_with_names_and_splits(store_of_volumes, tmp_path):
    store = store_of_volumes(OBLIQUE)
    out = tmp_path / "Dataset007_Ramps"
    remarks: list[str] = []
    done = export_nnunet(store, out, log=remarks.append)
    assert done.labels == ("background", "left part", "right part")
    assert remarks == ["note: none (class 0), the store's first class, is the background: nnU-Net has no other label 0"]
    assert document(out)["channel_names"] == {"0": "x", "1": "y", "2": "z"}
    assert document(out, "splits_final.json") == [{"train": ["case 0"], "val": ["case 1"]}]
    again = read_manifest(out)
    assert again.class_names == done.labels
    assert [entry.volume.name for entry in again.entries if entry.slice.index == 0] == ["case 0", "case 1", "case 2"]
    assert {(entry.volume.name, entry.split) for entry in again.entries} == {
        ("case 0", "train"),
        ("case 1", "train"),  # folds are nnU-Net's own business
        ("case 2", "test"),
    }
    about = document(out, "tedm.json")
    assert [(each["label"], each["value"], each["class"]) for each in about["labels"]] == [
        (0, 0, "none"),
        (1, 3, "left part"),
        (2, 9, "right part"),
    ]
    assert about["cases"]["case 1"] == {
        "split": "val",
        "group": "case 1",
        "domain": "volumes",
        "volume": "case 1",
        "slices": [0, store.labels.volumes[1].shape[store.labels.volumes[1].axes[0]] - 1],
    }


def test_what_was_dropped_for_training_is_not_made_up(store_of_volumes, tmp_path):
    """Slices 0, 3 and 4 of seven show nothing: each run of the others is a case, and lies where its slices lie."""
    store = store_of_volumes(PLAIN, data={"empty": (0, 3, 4)}, options={"drop_empty": "train"})
    out = tmp_path / "Dataset007_Ramps"
    remarks: list[str] = []
    assert export_nnunet(store, out, log=remarks.append).cases == {"train": 2, "val": 1, "test": 1}
    integrity(out)
    assert "1 volume (case 0) not whole in the store (--drop-empty?): each run of neighbouring slices is a case" in remarks[0]
    up = {}
    for part, slices in (("part1", (1, 2)), ("part2", (5, 6))):
        file = nib.load(out / "imagesTr" / f"case 0-{part}_0002.nii.gz")
        assert file.shape[2] == 2
        up[part] = np.asarray(file.dataobj)[0, 0] * 400 - 200
        assert up[part] == pytest.approx([3 + 2 * at for at in slices], abs=1e-3)
    assert document(out, "tedm.json")["cases"]["case 0-part2"]["slices"] == [5, 6]


def test_a_volume_that_is_not_whole_is_no_test(store_of_volumes, tmp_path):
    store = store_of_volumes(PLAIN, data={"empty": (0,)}, options={"drop_empty": "train"})
    moved = [name for name, group in zip(store.labels.names, store.labels.groups, strict=True) if group == "case 0"]
    store.relabel([Registration(name, "test", "", "", (0, 0), None) for name in moved], store.labels.classes)
    others = [name for name, group in zip(store.labels.names, store.labels.groups, strict=True) if group == "case 1"]
    store.relabel([Registration(name, "train", "", "", (0, 0), None) for name in others], store.labels.classes)
    with pytest.raises(
        TedmError, match=r"split test are not whole in .*without --drop-empty[^\n]*\n  case 0: 6 of 7 slices are there$"
    ):
        export_nnunet(store, tmp_path / "Dataset007_Ramps")
    assert not (tmp_path / "Dataset007_Ramps").exists()


def test_pixels_without_a_label_are_the_highest_one(make_store, tmp_path):
    store = make_store(own=True, values=(0, 7, 9))
    out = tmp_path / "Dataset501_A"
    export_nnunet(store, out)
    integrity(out)
    assert document(out)["labels"] == {"background": 0, "class 7": 1, "class 9": 2, "ignore": 3}
    assert document(out, "tedm.json")["ignore"] == 3
    truth = read(out / "labelsTr" / "one.png")[0]
    grid = store.mask("one")
    rows = slice(0, 8) if truth.shape[0] == 8 else slice((8 - truth.shape[0]) // 2, (8 + truth.shape[0]) // 2)
    assert np.array_equal(np.where(grid == IGNORE, 3, grid)[rows], truth)
    again = read_manifest(out)
    assert again.ignore == 3
    assert again.class_names == ("background", "class 7", "class 9")
    (one,) = (entry for entry in again.entries if entry.name == "one")
    assert np.array_equal(again.read_mask(one), grid[rows])


@pytest.mark.parametrize(
    "name", ["lungs", "Dataset5_Lungs", "Dataset501", "Dataset501_", "dataset501_Lungs", "Dataset501_My lungs"]
)
def test_a_folder_of_another_name_is_refused(make_store, tmp_path, name):
    with pytest.raises(TedmError, match=r"by names like Dataset501_Lungs, of three digits and a name; call it so$"):
        export_nnunet(make_store(), tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_number_that_another_data_set_has_is_refused(make_store, tmp_path):
    (tmp_path / "Dataset501_Hearts").mkdir()
    with pytest.raises(TedmError, match="Dataset501_Hearts beside it has the number 501 too"):
        export_nnunet(make_store(), tmp_path / "Dataset501_Lungs")


def test_a_folder_that_is_taken_stays_as_it_is(make_store, tmp_path):
    (tmp_path / "Dataset501_A").mkdir()
    (tmp_path / "Dataset501_A" / "mine.txt").write_text("mine")
    with pytest.raises(TedmError, match="exists and is not empty"):
        export_nnunet(make_store(), tmp_path / "Dataset501_A")
    assert tree(tmp_path) == ["Dataset501_A/mine.txt"]


def test_a_store_that_is_not_whole_is_refused(dataset, store_of, tmp_path):
    store = store_of(tmp_path / "store", dataset, written=5)
    with pytest.raises(TedmError, match="lacks 2 of 7 images, scan 5 say; run the same tedm-extract again"):
        export_nnunet(store, tmp_path / "Dataset501_A")


def test_one_class_is_nothing_to_learn(make_store, tmp_path):
    with pytest.raises(TedmError, match="has one class, class 0: there is nothing to tell apart"):
        export_nnunet(make_store(values=(0,), own=True), tmp_path / "Dataset501_A")


def test_intensities_that_cannot_be_are_refused_and_nothing_is_left(make_store, tmp_path):
    store = make_store(own=True)
    cells = list(next(store.blocks(["two"])).cells)
    store.discard(["two"])
    store.write("two", np.full((8, 8, 1), np.nan, np.float32), cells)
    with pytest.raises(TedmError, match="image two of .* has intensities that are not from 0 to 1; tedm-verify"):
        export_nnunet(FeatureStore.open(store.path), tmp_path / "Dataset501_A")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_the_same_store_gives_the_same_bytes(store_of_volumes, tmp_path):
    store = store_of_volumes(PLAIN)
    for name in ("Dataset001_A", "Dataset002_A"):
        export_nnunet(store, tmp_path / name)
    first, second = tmp_path / "Dataset001_A", tmp_path / "Dataset002_A"
    assert tree(first) == tree(second)
    assert [name for name in tree(first) if (first / name).read_bytes() != (second / name).read_bytes()] == []


def test_real_volumes_lie_where_they_lay(shared, store_of, tmp_path):
    """Two patients of the hippocampus set, whose volumes are no squares: structures keep their centres and sizes."""
    source = shared / "data" / "hippocampus"
    with (source / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [next(row for row in rows if row["split"] == split) for split in ("train", "test")]
    table = tmp_path / "manifest.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, **{key: source / row[key] for key in ("image", "mask")}} for row in chosen)
    manifest = read_manifest(table, options=VolumeOptions(axis="coronal", crop=48))
    store = store_of(tmp_path / "store", manifest, normalisation=Normalisation("quantile"), image_size=64, crop=48)
    out = tmp_path / "Dataset501_Hippocampus"
    export_nnunet(store, out)
    integrity(out)
    for row, volume, part in zip(chosen, store.labels.volumes, ("Tr", "Ts"), strict=True):
        for value in (1, 2):
            centres, sizes = [], []
            for path in (source / row["mask"], out / f"labels{part}" / f"{volume.name}.nii.gz"):
                file = nib.load(path)
                found = np.argwhere(np.asarray(file.dataobj) == value)
                centres.append(nib.affines.apply_affine(file.affine, found).mean(axis=0))
                sizes.append(len(found) * abs(np.linalg.det(file.affine[:3, :3])))
            assert np.abs(centres[0] - centres[1]).max() < 0.25
            assert sizes[0] == pytest.approx(sizes[1], rel=0.05)
