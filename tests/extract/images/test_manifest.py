"""Manifests: what is accepted, what is assumed, and that all problems are told at once."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import SERIES, voxels_of, write_series
from numpy.typing import NDArray
from PIL import Image
from small_volumes import AFFINE, SHAPE, label_map, scan, write_nifti

from tedm.errors import TedmError
from tedm.extract.images import Legend, Manifest, VolumeOptions, read_manifest
from tedm.store import Labels
from tedm.store.volumes.normalisation import Normalisation

DATA = Path(__file__).parents[4] / "shared" / "data"


def photograph(seed: int, height: int = 12, width: int = 17) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def labels(seed: int, values: Sequence[int] = (0, 3, 7), height: int = 12, width: int = 17) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).choice(np.array(values, np.uint8), (height, width))


def save(path: Path, array: NDArray[Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def write_csv(path: Path, rows: Sequence[Sequence[str]], encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows(rows)
    return path


def problems_of(source: Path, **options: Any) -> list[str]:
    with pytest.raises(TedmError) as caught:
        read_manifest(source, **options)
    return str(caught.value).splitlines()


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder `clinic` with images a, b and c and masks of a and b."""
    folder = tmp_path / "clinic"
    for seed, name in enumerate("abc"):
        save(folder / "images" / f"{name}.png", photograph(seed))
    for seed, name in enumerate("ab"):
        save(folder / "masks" / f"{name}.tif", labels(seed))
    return folder


def test_a_csv_says_everything(three: Path) -> None:
    rows = [
        ["diagnosis", "image", "name", "mask", "split", "group", "patient", "domain"],
        ["x", "images/b.png", "two", "masks/b.tif", "val", "volume 2", "P2", "here"],
        ["y", "images/a.png", "one", str(three / "masks/a.tif"), "test", "volume 1", "P1", "there"],
        [],
        ["z", "images/c.png", "", "", "", "", "P3", ""],
        ["z", "images/c.png", "again", "", "", "", "", ""],
    ]
    manifest = read_manifest(write_csv(three / "list.csv", rows))
    assert [(e.name, e.split, e.group, e.domain) for e in manifest.entries] == [
        ("two", "val", "volume 2", "here"),
        ("one", "test", "volume 1", "there"),
        ("c", "", "P3", "clinic"),
        ("again", "", "again", "clinic"),
    ]
    assert [e.mask for e in manifest.entries] == [three / "masks/b.tif", three / "masks/a.tif", None, None]
    assert {e.image.parent for e in manifest.entries} == {three / "images"}
    assert {e.size for e in manifest.entries} == {(12, 17)}
    assert manifest.classes == (0, 3, 7)


def test_a_spreadsheets_csv_is_read(three: Path) -> None:
    path = write_csv(
        three / "list.csv", [[" Image", "Mask "], ["images/a.png ", "masks/a.tif"], ["", ""]], encoding="utf-8-sig"
    )
    assert [(entry.name, entry.split) for entry in read_manifest(path).entries] == [("a", "train")]


def test_images_and_masks_are_paired_by_stem(three: Path) -> None:
    (three / "images" / "notes.txt").write_text("nobody's business")
    save(three / "images" / ".a.png", photograph(9))
    manifest = read_manifest(three)
    assert [(e.name, e.mask and e.mask.name, e.split, e.group, e.domain) for e in manifest.entries] == [
        ("a", "a.tif", "train", "a", "clinic"),
        ("b", "b.tif", "train", "b", "clinic"),
        ("c", None, "", "c", "clinic"),
    ]


def test_a_folder_of_images_is_sorted_and_has_no_masks(three: Path) -> None:
    save(three / "images" / "B.JPG", photograph(4))
    manifest = read_manifest(three / "images")
    assert [entry.name for entry in manifest.entries] == ["B", "a", "b", "c"]
    assert manifest.classes is None
    assert {(entry.mask, entry.split, entry.domain) for entry in manifest.entries} == {(None, "", "images")}


def test_a_folders_manifest_comes_before_its_images(three: Path) -> None:
    write_csv(three / "manifest.csv", [["image"], ["images/b.png"]])
    assert [entry.name for entry in read_manifest(three).entries] == ["b"]


def test_a_mask_is_read_as_class_indices(three: Path) -> None:
    values = labels(0)
    manifest = read_manifest(three)
    np.testing.assert_array_equal(manifest.read_mask(manifest.entries[0]), np.searchsorted([0, 3, 7], values))
    manifest = read_manifest(three, ignore=3)
    assert manifest.classes == (0, 7)
    expected = np.where(values == 3, 255, values == 7)
    np.testing.assert_array_equal(manifest.read_mask(manifest.entries[0]), expected)
    manifest = read_manifest(three, classes=[7, 0, 5], ignore=3)
    expected = np.select([values == 7, values == 0], [0, 1], 255)
    np.testing.assert_array_equal(manifest.read_mask(manifest.entries[0]), expected)
    assert manifest.read_mask(manifest.entries[1]).dtype == np.uint8


def test_zero_and_255_are_two_classes_unless_255_is_ignored(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", photograph(1))
    values = labels(1, (0, 255))
    save(tmp_path / "masks" / "a.png", values)
    manifest = read_manifest(tmp_path)
    assert manifest.classes == (0, 255)
    np.testing.assert_array_equal(manifest.read_mask(manifest.entries[0]), values == 255)
    manifest = read_manifest(tmp_path, ignore=255)
    assert manifest.classes == (0,)
    np.testing.assert_array_equal(manifest.read_mask(manifest.entries[0]), values)


def test_negative_and_large_values_are_classes_too(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", photograph(1))
    values = np.random.default_rng(2).choice(np.array([-1, 5, 100_000], np.int32), (12, 17))
    save(tmp_path / "masks" / "a.tif", values)
    manifest = read_manifest(tmp_path, ignore=-1)
    assert manifest.classes == (5, 100_000)
    expected = np.select([values == 5, values == 100_000], [0, 1], 255)
    np.testing.assert_array_equal(manifest.read_mask(manifest.entries[0]), expected)


def test_all_problems_are_told_at_once(three: Path) -> None:
    save(three / "masks" / "small.png", labels(1, height=10))
    save(three / "masks" / "colour.png", np.random.default_rng(0).integers(0, 9, (12, 17, 3), np.uint8))
    save(three / "masks" / "photograph.tif", np.arange(204, dtype=np.uint8).reshape(12, 17))
    whole = (three / "images" / "c.png").read_bytes()
    (three / "images" / "cut.png").write_bytes(whole[: len(whole) // 2])
    rows = [
        ["image", "name", "mask", "split", "patient"],
        ["images/absent.png", "1", "", "", ""],
        ["images/cut.png", "2", "", "", ""],
        ["images/a.png", "3", "masks/absent.png", "", ""],
        ["images/a.png", "4", "masks/small.png", "", ""],
        ["images/a.png", "5", "masks/colour.png", "", ""],
        ["images/a.png", "6", "masks/photograph.tif", "", ""],
        ["images/a.png", "7", "", "training", ""],
        ["images/a.png", "../8", "", "", ""],
        ["images/a.png", "9", "", "", ""],
        ["images/b.png", "9", "", "", ""],
        ["images/b.png", "10", "", "train", "Smith"],
        ["images/c.png", "11", "", "test", "Smith"],
        ["", "12", "", "", ""],
        ["images/c.png", "13"],
    ]
    found = problems_of(write_csv(three / "list.csv", rows))
    assert found[0] == f"{three / 'list.csv'} cannot be used:"
    expected = [
        "line 14: no image",
        "line 15: 2 cells for 5 columns",
        "line 8: split 'training'; expected train, val, test or nothing",
        "line 9: name '../8'",
        "line 10, line 11: 2 images of the name 9",
        "group Smith is in train (line 12) and test (line 13); keep it in one split",
        f"line 2: image {three / 'images/absent.png'}: no such file",
        f"line 3: image {three / 'images/cut.png'}: cannot be decoded",
        f"line 4: mask {three / 'masks/absent.png'}: no such file",
        f"line 5: mask {three / 'masks/small.png'}: 10 x 17 pixels (height x width), its image 12 x 17",
        f"line 6: mask {three / 'masks/colour.png'}: a mask in colours",
        f"line 7: mask {three / 'masks/photograph.tif'}: 204 different values; is it a photograph",
    ]
    assert len(found) == 1 + len(expected)
    for line, beginning in zip(found[1:], expected, strict=True):
        assert line.strip().startswith(beginning)


def test_values_that_are_no_classes_are_refused(three: Path) -> None:
    assert problems_of(three, classes=[0, 1, 3]) == [
        f"{three} cannot be used:",
        *(
            f"  {Path('images') / name}.png: mask {three / 'masks' / name}.tif: values 7 are none of the classes 0, 1, 3; "
            "change --classes, or --ignore one value"
            for name in "ab"
        ),
    ]


def test_a_mask_that_changed_after_the_check_is_refused(three: Path) -> None:
    manifest = read_manifest(three)
    save(three / "masks" / "a.tif", labels(0, (0, 4)))
    with pytest.raises(TedmError, match=r"a\.tif: values 4 are none of the classes 0, 3, 7"):
        manifest.read_mask(manifest.entries[0])
    save(three / "masks" / "a.tif", labels(0, height=9))
    with pytest.raises(TedmError, match="9 x 17"):
        manifest.read_mask(manifest.entries[0])


def test_a_group_a_patient_and_an_image_stay_in_one_split(three: Path) -> None:
    rows = [
        ["image", "name", "split", "group", "patient"],
        ["images/a.png", "a", "train", "g1", "Smith"],
        ["images/b.png", "b", "val", "g2", "Smith"],
        ["images/b.png", "c", "test", "g3", "Jones"],
        ["images/c.png", "d", "", "g1", "Smith"],
    ]
    assert problems_of(write_csv(three / "list.csv", rows))[1:] == [
        "  patient Smith is in train (line 2) and val (line 3); keep it in one split",
        f"  image {three / 'images/b.png'} is in val (line 3) and test (line 4); keep it in one split",
    ]


@pytest.mark.parametrize("column", ["group", "patient"])
def test_two_spellings_of_the_same_letters_are_one_group(three: Path, column: str) -> None:
    rows = [["image", "split", column], ["images/a.png", "train", "M\u00fcller"], ["images/b.png", "test", "Mu\u0308ller"]]
    (problem,) = problems_of(write_csv(three / "list.csv", rows))[1:]
    assert "M\u00fcller is in train (line 2) and test (line 3); keep it in one split" in problem


def test_a_mask_without_image_a_double_stem_and_another_format_are_problems(three: Path) -> None:
    save(three / "masks" / "d.png", labels(3))
    save(three / "masks" / "a.png", labels(3))
    save(three / "images" / "b.jpg", photograph(3))
    save(three / "images" / "e.bmp", photograph(3))
    found = " ".join(problems_of(three))
    assert f"{Path('masks/d.png')}: no image of this stem" in found
    assert f"{Path('masks/a.tif')}: the same stem as a.png" in found
    assert f"{Path('images/b.jpg')}, {Path('images/b.png')}: 2 images of the name b" in found
    assert "e.bmp: files of this kind are not read" in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"picture,mask\na.png,b.png\n", "no column `image` among picture, mask"),
        (b"image;mask\na.png;b.png\n", "separate columns by commas"),
        (b"image,mask,image\na,b,c\n", "column image is there twice"),
        (b"image\n", "no images"),
        (b"image\n\xff\xfe.png\n", "no CSV in UTF-8"),
    ],
)
def test_a_csv_that_is_none_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(TedmError, match=message) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


def test_an_empty_folder_and_an_absent_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="no images; expected"):
        read_manifest(tmp_path)
    with pytest.raises(TedmError, match="no such file or folder"):
        read_manifest(tmp_path / "absent")


def test_impossible_classes_are_refused(three: Path) -> None:
    for classes, ignore, message in [
        ([0, 1, 1], None, "once"),
        ([], None, "0 classes"),
        ([0, 3], 3, "both a class and ignored"),
    ]:
        with pytest.raises(TedmError, match=message):
            read_manifest(three, classes=classes, ignore=ignore)


def test_masks_without_a_labelled_pixel_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", photograph(1))
    save(tmp_path / "masks" / "a.png", labels(1, (9,)))
    assert "no mask has a labelled pixel" in problems_of(tmp_path, ignore=9)[1]


def test_images_without_a_range_are_told_before_they_are_read(three: Path) -> None:
    save(three / "images" / "d.tif", photograph(3).astype(np.float32))
    manifest = read_manifest(three)
    manifest.require_intensity_range((0, 200))
    with pytest.raises(TedmError, match=r"d\.tif: .*--intensity-range"):
        manifest.require_intensity_range(None)


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")
@pytest.mark.parametrize(("name", "images", "sizes"), [("shenzhen", 150, {(256, 256)}), ("montgomery", 138, {(512, 512)})])
def test_the_chest_x_rays_are_whole(name: str, images: int, sizes: set[tuple[int, int]]) -> None:
    manifest = read_manifest(DATA / name)
    assert len(manifest.entries) == images
    assert {entry.size for entry in manifest.entries} == sizes
    assert manifest.classes == (0, 255)
    assert set(np.unique(manifest.read_mask(manifest.entries[0]))) == {0, 1}


CHANNELS = VolumeOptions(channels=("flair", "t1gd"))


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """A folder `ward` with volumes p1 to p3, masks, brain masks and a table of classes; of p3 there is an image alone."""
    folder = tmp_path / "ward"
    for seed, name in enumerate(("p1", "p2", "p3")):
        write_nifti(folder / "images" / f"{name}.nii.gz", scan(seed))
        if seed < 2:
            write_nifti(folder / "masks" / f"{name}.nii.gz", label_map(seed))
            write_nifti(folder / "brainmasks" / f"{name}.nii.gz", label_map(seed, (0, 1)))
    (folder / "classes.csv").write_text("value,name,colour\n0,rest,#000000\n1,left,#ff0000\n2,right,#00ff00\n3,third,#0000ff\n")
    return folder


@pytest.fixture
def modalities(tmp_path: Path) -> Path:
    """A table of two patients with a column for each modality, called alike in each patient's folder."""
    rows = [["FLAIR", "t1gd", "mask", "brainmask", "split", "patient"]]
    for seed, (name, split) in enumerate((("p1", "train"), ("p2", "test"))):
        files = {"flair": scan(seed), "t1gd": scan(seed + 5), "mask": label_map(seed), "brain": label_map(seed, (0, 1))}
        paths = [write_nifti(tmp_path / name / f"{what}.nii.gz", voxels) for what, voxels in files.items()]
        rows.append([*(str(path.relative_to(tmp_path)) for path in paths), split, name])
    return write_csv(tmp_path / "list.csv", rows)


def test_a_folder_of_volumes_is_its_slices_with_masks_brain_masks_and_named_classes(patients: Path) -> None:
    manifest = read_manifest(patients, strict=False)
    assert len(manifest.entries) == 3 * SHAPE[2]
    entry = manifest.entries[5]
    assert (entry.name, entry.split, entry.group, entry.domain, entry.size) == ("p2_001", "train", "p2", "ward", (6, 5))
    assert entry.mask == patients / "masks" / "p2.nii.gz"
    assert entry.brain == patients / "brainmasks" / "p2.nii.gz"
    assert {(each.mask, each.brain, each.split) for each in manifest.entries[8:]} == {(None, None, "")}
    assert (manifest.classes, manifest.class_names) == ((0, 1, 2, 3), ("rest", "left", "right", "third"))
    assert manifest.class_colours == ("#000000", "#ff0000", "#00ff00", "#0000ff")
    (remark,) = manifest.remarks
    assert remark.startswith("1 of 3 images without a mask in masks/ (p3.nii.gz): no mask is read for them")
    pixels = [int(sum((label_map(seed) == value).sum() for seed in range(2))) for value in range(3)]
    assert manifest.sentences()[-1] == (
        f"classes in the masks: 0 rest ({pixels[0]} voxels in 2 volumes), 1 left ({pixels[1]} voxels in 2 volumes), "
        f"2 right ({pixels[2]} voxels in 2 volumes), 3 third (0 voxels in 0 volumes)"
    )
    # axes L-A-S: a slice shows the patient's right at its left, and the front at the top
    np.testing.assert_array_equal(manifest.read_mask(entry), label_map(1)[:, ::-1, 1].T)


def test_columns_of_channels_are_read_in_the_order_of_the_channels(modalities: Path) -> None:
    manifest = read_manifest(modalities, options=CHANNELS)
    first = manifest.entries[0]
    assert (first.name, first.group, [path.name for path in first.files]) == ("p1_000", "p1", ["flair.nii.gz", "t1gd.nii.gz"])
    assert (first.brain, manifest.options.channels) == (modalities.parent / "p1" / "brain.nii.gz", ("flair", "t1gd"))
    assert [len(headers) for headers in manifest.volume_headers.values()] == [2, 2]
    assert manifest.remarks == ()
    one = read_manifest(modalities, options=VolumeOptions(channels=("t1gd",)))
    assert [path.name for path in one.entries[0].files] == ["t1gd.nii.gz"]
    assert "column flair not read; columns that are read: t1gd, name, mask" in one.remarks[0]
    assert "no column `image` among flair, t1gd, mask" in problems_of(modalities)[0]
    assert "name these with --channels" in problems_of(modalities)[0]


def test_data_sets_are_read_as_they_stand(tmp_path: Path) -> None:
    folder = tmp_path / "Dataset007"
    for case, part in (("a", "Tr"), ("b", "Ts")):
        for channel in range(2):
            write_nifti(folder / f"images{part}" / f"{case}_{channel:04d}.nii.gz", scan(channel))
        write_nifti(folder / f"labels{part}" / f"{case}.nii.gz", label_map())
    document = {
        "channel_names": {"0": "FLAIR", "1": "T1"},
        "labels": {"rest": 0, "core": 1, "ignore": 2},
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(document))
    manifest = read_manifest(folder, strict=True)
    assert (manifest.options.channels, manifest.classes, manifest.ignore) == (("FLAIR", "T1"), (0, 1), 2)
    assert manifest.class_names == ("rest", "core")
    assert [(entry.name, entry.split) for entry in manifest.entries][::4] == [("a_000", "train"), ("b_000", "test")]
    assert read_manifest(folder, classes=[0, 1, 2]).ignore is None
    (folder / "dataset.json").write_text(json.dumps({**document, "labels": {"rest": 0, "core": 1}}))
    assert (
        f"values 2 are none of the classes 0, 1; add them to {folder / 'dataset.json'}, or --ignore" in problems_of(folder)[1]
    )


def test_the_decathlons_channels_are_taken_out_of_its_files_when_asked(tmp_path: Path) -> None:
    write_nifti(tmp_path / "imagesTr" / "a_001.nii.gz", scan(0, (*SHAPE, 2)))
    write_nifti(tmp_path / "labelsTr" / "a_001.nii.gz", label_map())
    document = {"modality": {"0": "FLAIR", "1": "T1"}, "labels": {"0": "rest", "1": "left", "2": "right"}}
    (tmp_path / "dataset.json").write_text(json.dumps(document))
    manifest = read_manifest(tmp_path, options=VolumeOptions(channels_in_file=True))
    assert ([len(headers) for headers in manifest.volume_headers.values()], manifest.remarks) == ([2], ())
    (problem,) = problems_of(tmp_path)[1:]
    assert "a 4D file of 2 volumes; save the one that is meant as a file of its own" in problem
    assert "--channels-in-file" in problem


def test_pictures_of_nnunet_are_read_too(tmp_path: Path) -> None:
    for channel in range(2):
        save(tmp_path / "imagesTr" / f"a_{channel:04d}.png", photograph(channel))
    save(tmp_path / "labelsTr" / "a.png", labels(0, (0, 1)))
    document = {"channel_names": {"0": "x", "1": "y"}, "labels": {"rest": 0, "lung": 1}, "file_ending": ".png"}
    (tmp_path / "dataset.json").write_text(json.dumps(document))
    manifest = read_manifest(tmp_path)
    assert [(entry.name, len(entry.files), entry.volume) for entry in manifest.entries] == [("a", 2, None)]
    assert manifest.class_names == ("rest", "lung")


def test_a_series_is_named_by_its_folder_and_its_files_are_no_leftovers(tmp_path: Path) -> None:
    write_series(tmp_path / "p1" / "t1", voxels_of())
    write_series(tmp_path / "p2" / "t1", voxels_of(), SeriesInstanceUID=f"{SERIES}.2")
    file = sorted((tmp_path / "p2" / "t1").iterdir())[2].relative_to(tmp_path)
    write_csv(tmp_path / "manifest.csv", [["image", "name"], ["p1/t1", "one"], [str(file), "two"]])
    manifest = read_manifest(tmp_path, strict=True)
    assert [entry.name for entry in manifest.entries][::5] == ["one_000", "two_000"]
    shutil.copytree(tmp_path / "p1", tmp_path / "p3")
    assert "1 folder not looked into: p3/ with 5 pictures" in read_manifest(tmp_path).remarks[0]


def test_data_beside_its_header_is_no_image_of_its_own(tmp_path: Path) -> None:
    nrrd = pytest.importorskip("nrrd")
    nrrd.write(str(tmp_path / "a.nhdr"), scan(), detached_header=True)
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".nhdr", ".gz"]
    assert len(read_manifest(tmp_path, strict=True).entries) == SHAPE[2]


def test_command_line_names_are_classes_and_agree_with_those_that_are_given(patients: Path) -> None:
    legend = Legend({0: "a", 2: "b", 1: "c"}, {}, "--class-names")
    manifest = read_manifest(patients, legend=legend)
    assert (manifest.classes, manifest.class_names, manifest.class_colours) == ((0, 2, 1), ("a", "b", "c"), ())
    assert read_manifest(patients, classes=[0, 1, 2], legend=legend).class_names == ("a", "c", "b")
    assert problems_of(patients, classes=[0, 1, 2], legend=Legend({9: "z"}, {}, "--class-names")) == [
        "--class-names names 9, and the classes are 0, 1, 2; make them alike"
    ]
    assert "add them to --class-names" in problems_of(patients, legend=Legend({1: "lung"}, {}, "--class-names"))[1]


def test_slices_of_train_without_a_structure_are_left_out_when_asked_and_counted(modalities: Path) -> None:
    manifest = read_manifest(modalities, options=replace(CHANNELS, drop_empty="train"))
    assert [entry.name for entry in manifest.entries] == ["p1_000", "p1_001", "p1_003", "p2_000", "p2_001", "p2_002", "p2_003"]
    assert manifest.remarks == ("--drop-empty train leaves out 1 of 8 images: they show no labelled structure",)
    assert len(manifest.headers) == len(manifest.entries)


def test_one_class_alone_is_no_background(patients: Path) -> None:
    for name in ("p1", "p2"):
        write_nifti(patients / "masks" / f"{name}.nii.gz", label_map(0, (0, 1)))
    manifest = read_manifest(patients, classes=[1], ignore=0, options=VolumeOptions(drop_empty="train"))
    assert "leaves out 2 of 12 images" in manifest.remarks[-1]


def test_nothing_but_empty_slices_are_refused(patients: Path) -> None:
    for name in ("p1", "p2"):
        write_nifti(patients / "masks" / f"{name}.nii.gz", label_map(0, (0,)))
    (patients / "images" / "p3.nii.gz").unlink()
    assert problems_of(patients, options=VolumeOptions(drop_empty="train"))[1:] == [
        "  --drop-empty train leaves no image; nothing of the split train shows a structure"
    ]


def labels_of(manifest: Manifest, indices: Sequence[int]) -> Labels:
    """What a store knows that has some images of a manifest, of volumes."""
    entries = [manifest.entries[index] for index in indices]
    volumes = tuple({entry.volume.name: entry.volume for entry in entries if entry.volume}.values())
    slices = tuple(replace(entry.slice, volume=volumes.index(entry.volume)) for entry in entries if entry.volume)
    count = len(entries)
    return Labels(
        tuple(entry.name for entry in entries), ("val",) * count, ("G",) * count, ("D",) * count,
        tuple(entry.size for entry in entries), (1,) * count, (0, 1, 2, 3), volumes=volumes, slices=slices,
    )  # fmt: skip


def test_known_volumes_are_not_opened_again_unless_their_files_changed(patients: Path) -> None:
    manifest = read_manifest(patients)
    known = labels_of(manifest, [1, 0, 8, 9, 10, 11])
    for name in ("p1", "p3"):
        (patients / "images" / f"{name}.nii.gz").write_bytes(b"nobody looks")
    again = read_manifest(patients, known=known)
    assert [entry.name for entry in again.entries] == [
        *("p1_001", "p1_000", "p2_000", "p2_001", "p2_002", "p2_003", "p3_000", "p3_001", "p3_002", "p3_003")
    ]
    assert list(again.volume_headers) == ["p2"]
    asked: list[tuple[str, list[str], str | None]] = []

    def as_read(name: str, images: Sequence[Path], mask: Path | None, reading: int) -> bool:
        assert reading == 0
        asked.append((name, [path.parent.name for path in images], mask and mask.parent.name))
        return name.startswith("p3")

    (problem,) = problems_of(patients, known=known, as_read=as_read)[1:]
    assert "images/p1.nii.gz: image " in problem
    assert sorted(asked) == [("p1_001", ["images", "brainmasks"], "masks"), ("p3_000", ["images"], None)]


def test_only_masks_of_known_volumes_are_opened_to_label_them_anew(patients: Path) -> None:
    known = labels_of(read_manifest(patients), [1, 0, 4, 5, 6, 7])
    rows = [["image", "mask"], ["elsewhere/p1.nii.gz", "masks/p1.nii.gz"]]
    write_nifti(patients / "masks" / "p1.nii.gz", label_map(7))
    manifest = read_manifest(write_csv(patients / "list.csv", rows), only_masks_of=known)
    assert [(entry.name, entry.split, entry.group, entry.domain) for entry in manifest.entries] == [
        ("p1_001", "val", "G", "D"),
        ("p1_000", "val", "G", "D"),
    ]
    np.testing.assert_array_equal(manifest.read_mask(manifest.entries[0]), label_map(7)[:, ::-1, 1].T)


def test_a_picture_among_volumes_is_said(patients: Path) -> None:
    save(patients / "images" / "screenshot.png", photograph(1))
    said = "1 picture beside 3 volumes (images/screenshot.png): each picture is taken for an image"
    assert any(said in remark for remark in read_manifest(patients).remarks)


def overwrite(path: str, voxels: NDArray[Any], affine: NDArray[Any] = AFFINE) -> Callable[[Path], object]:
    return lambda folder: write_nifti(folder / path, voxels, affine)


def cut(folder: Path) -> None:
    path = folder / "images" / "p1.nii.gz"
    path.write_bytes(path.read_bytes()[:-40])


def short(folder: Path) -> None:
    path = folder / "images" / "p1.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-40]))


def two_series(folder: Path) -> None:
    write_series(folder / "images" / "p9", voxels_of(2))
    for path in write_series(folder / "other", voxels_of(2), SeriesInstanceUID=f"{SERIES}.2"):
        shutil.move(path, folder / "images" / "p9" / f"other-{path.name}")


def gap(folder: Path) -> None:
    write_series(folder / "images" / "p9", voxels_of(5), places=[0, 1, 2, 4, 5])


def moved(path: str, to: str) -> Callable[[Path], object]:
    return lambda folder: shutil.move(folder / path, folder / to)


def copied(path: str, to: str) -> Callable[[Path], object]:
    return lambda folder: shutil.copy(folder / path, folder / to)


def table_of(*rows: Sequence[str]) -> Callable[[Path], object]:
    return lambda folder: write_csv(folder / "manifest.csv", rows)


IMAGE, MASK, BRAIN = (f"{folder}/p1.nii.gz" for folder in ("images", "masks", "brainmasks"))
AT_IMAGE, AT_MASK, AT_BRAIN = "image {f}/" + IMAGE, "mask {f}/" + MASK, "brain mask {f}/" + BRAIN
SHIFTED = AFFINE + np.array([[0, 0, 0, 3.0], *[[0] * 4] * 3])
NAN = scan().astype(np.float32) * np.float32("nan")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (overwrite(MASK, label_map(0, shape=(5, 6, 3))), AT_MASK + " has 5 x 6 x 3 voxels and the volume p1 5 x 6 x 4"),
        (overwrite(MASK, label_map(), SHIFTED), AT_MASK + " and the volume p1 lie up to 3 mm apart"),
        (overwrite(BRAIN, label_map(), SHIFTED), AT_BRAIN + " and the volume p1 lie up to 3 mm apart"),
        (overwrite(BRAIN, label_map() * 0), AT_BRAIN + ": it holds nothing but 0"),
        (overwrite(MASK, label_map(0, (0, 1, 9))), "values 9 are none of the classes 0, 1, 2, 3; add them to {f}/classes.csv"),
        (overwrite(MASK, label_map() + np.float32(0.5)), AT_MASK + ": a mask with values that are no whole numbers"),
        (overwrite(MASK, label_map() * np.float32("nan")), AT_MASK + ": a mask with values that are no whole numbers"),
        (overwrite(IMAGE, scan(0, (*SHAPE, 3))), AT_IMAGE + ": a 4D file of 3 volumes"),
        (overwrite(IMAGE, NAN), AT_IMAGE + ": all of its voxels are NaN or infinite"),
        (cut, AT_IMAGE + ": cut off, its compressed data has no end"),
        (short, AT_IMAGE + ": cut off, 552 bytes of 592 are there"),
        (two_series, "image {f}/images/p9: files of 2 series"),
        (gap, "image {f}/images/p9: "),
        (lambda f: write_series(f / "images", voxels_of(3)), "IM0000.dcm, IM0001.dcm, IM0002.dcm: 3 files of one series of 3"),
        (moved(MASK, "masks/p8.nii.gz"), "masks/p8.nii.gz: no image of this stem in images/"),
        (moved(BRAIN, "brainmasks/p8.nii.gz"), "brainmasks/p8.nii.gz: no image of this stem in images/"),
        (copied(BRAIN, "brainmasks/p1.nii"), "brainmasks/p1.nii.gz: the same stem as p1.nii"),
        (copied(IMAGE, "images/p1.nii"), "images/p1.nii, images/p1.nii.gz: 2 images of the name p1"),
        (copied(IMAGE, "images/p7.mgz"), "p7.mgz: files of this kind are not read; convert it to one of .png"),
        (table_of(["image", "mask"], [IMAGE, "masks/p1.png"]), "mask {f}/masks/p1.png: no volume, and its image is one"),
        (table_of(["image", "mask"], ["a.png", MASK]), AT_MASK + ": a volume, where a picture is wanted"),
        (table_of(["image"], ["masks"]), "image {f}/masks: a folder without a DICOM file directly in it"),
        (table_of(["image"], ["images/p0.nii.gz"]), "image {f}/images/p0.nii.gz: no such file"),
        (table_of(["image", "patient", "split"], ["images/p1.nii.gz", "s", "train"], ["images/p2.nii.gz", "s", "test"]),
         "group s is in train (line 2) and test (line 3); keep it in one split"),
        (lambda f: (f / "classes.csv").write_text("value,name\n1,a\n1,b\n"), "line 3: value 1 is there twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_volumes_is_one_line_before_any_work(
    patients: Path, spoil: Callable[[Path], object], said: str
) -> None:
    save(patients / "a.png", photograph(0))
    spoil(patients)
    _, problem = problems_of(patients)
    assert said.format(f=patients) in problem


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            overwrite("p1/t1gd.nii.gz", scan(0, (5, 6, 3))),
            "{f}/p1/t1gd.nii.gz has 5 x 6 x 3 voxels and {f}/p1/flair.nii.gz 5 x 6 x 4",
        ),
        (overwrite("p1/t1gd.nii.gz", scan(), SHIFTED), "{f}/p1/t1gd.nii.gz and {f}/p1/flair.nii.gz lie up to 3 mm apart"),
        (overwrite("p1/t1gd.nii.gz", scan(0, (*SHAPE, 2))), "image {f}/p1/t1gd.nii.gz: a 4D file of 2 volumes"),
        (lambda f: (f / "p1" / "t1gd.nii.gz").unlink(), "line 2: image {f}/p1/t1gd.nii.gz: no such file"),
        (lambda f: empty_cell(f), "line 3: no t1gd"),
        (lambda f: empty_cell(f, "p1/flair.png"), "line 3: image {f}/p1/flair.png: no volume, and {f}/p2/flair.nii.gz is one"),
        (lambda f: empty_cell(f, "p1/t1gd.nii.gz"), "image {f}/p1/t1gd.nii.gz is in train (line 2) and test (line 3)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_modalities_is_one_line_before_any_work(
    modalities: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(modalities.parent)
    _, problem = problems_of(modalities, options=CHANNELS)
    assert said.format(f=modalities.parent) in problem


def empty_cell(folder: Path, instead: str = "") -> None:
    table = folder / "list.csv"
    table.write_text(table.read_text().replace("p2/t1gd.nii.gz", instead))


def test_voxels_that_are_no_numbers_are_said(patients: Path) -> None:
    voxels = scan().astype(np.float32)
    voxels[1, 2, 3], voxels[0, 0, 0] = np.nan, np.inf
    path = write_nifti(patients / "images" / "p1.nii.gz", voxels)
    assert f"{path}: 2 of 120 voxels are NaN or infinite; they become black" in read_manifest(patients).remarks


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")
def test_the_brains_of_the_tumour_set_are_whole() -> None:
    manifest = read_manifest(DATA / "tumour", options=replace(CHANNELS, drop_empty="train"))
    assert len({entry.group for entry in manifest.entries}) == 6
    assert {0, 1, 2} <= set(manifest.classes or ()) <= {0, 1, 2, 3, 4}
    assert "--drop-empty train leaves out" in manifest.remarks[-1]


def test_that_air_counts_is_said_unless_it_was_asked_for(tmp_path):
    write_nifti(tmp_path / "a.nii.gz", scan())
    for brain, said in ((None, 1), ("all", 0), ("nonzero", 0)):
        manifest = read_manifest(tmp_path, options=VolumeOptions(brain=brain))
        odd = manifest.require_intensity_range(None, channels=1, normalisation=Normalisation("quantile", brain=brain or "all"))
        assert len([remark for remark in odd if "those of air too" in remark]) == said
