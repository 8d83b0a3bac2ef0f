"""Manifests: what is accepted, what is assumed, and that all problems are told at once."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images import read_manifest

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
