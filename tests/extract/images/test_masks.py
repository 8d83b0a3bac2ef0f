"""Which values of masks are classes as they stand, and which only look like it."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tedm.errors import TedmError
from tedm.extract.images import read_manifest
from tedm.extract.images.masks import (
    as_meant,
    class_counts,
    encoding_problems,
    in_words,
    look,
    look_at_volume,
    require_classes,
)


def disc(number: int = 0, size: int = 64, radius: float = 0.25) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size
    return ((y - 0.47 - 0.03 * number) ** 2 + (x - 0.53 + 0.05 * number) ** 2 < radius**2).astype(np.int32)


def resized(mask: np.ndarray, size: int, how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).resize((size, size), how)).astype(np.int32)


def through_jpeg(mask: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).astype(np.int32)


def problems(*masks: np.ndarray, known: tuple[int, ...] = ()) -> list[str]:
    return encoding_problems({f"m{number}": look(mask.astype(np.int32)) for number, mask in enumerate(masks)}, known)


SOFT = {
    "shrunk by half": lambda k: resized(255 * disc(k, 128), 64, Image.Resampling.BOX),
    "shrunk bilinearly": lambda k: resized(255 * disc(k, 200), 64, Image.Resampling.BILINEAR),
    "shrunk with ringing": lambda k: resized(255 * disc(k, 200), 64, Image.Resampling.LANCZOS),
    "enlarged": lambda k: resized(255 * disc(k, 32), 128, Image.Resampling.BICUBIC),
    "small": lambda k: resized(255 * disc(k), 16, Image.Resampling.BILINEAR),
    "black on white": lambda k: 255 - resized(255 * disc(k, 128), 64, Image.Resampling.BILINEAR),
    "to 100": lambda k: resized(100 * disc(k, 128), 64, Image.Resampling.BILINEAR),
    "in 16 bits": lambda k: 257 * resized(255 * disc(k, 128), 64, Image.Resampling.BILINEAR),
    "of three classes": lambda k: resized(127 * disc(k, 200) + 128 * disc(k, 200, 0.1), 64, Image.Resampling.BILINEAR),
    "turned": lambda k: np.asarray(Image.fromarray((255 * disc(k)).astype(np.uint8)).rotate(17, Image.Resampling.BICUBIC)),
    "blurred": lambda k: np.asarray(Image.fromarray((255 * disc(k)).astype(np.uint8)).filter(ImageFilter.GaussianBlur(2))),
    "through JPEG": lambda k: through_jpeg(255 * disc(k), 75),
    "through good JPEG": lambda k: through_jpeg(255 * disc(k), 95),
    "one of four": lambda k: 255 * disc(k) if k else resized(255 * disc(k, 128), 64, Image.Resampling.BILINEAR),
}


@pytest.mark.parametrize("kind", SOFT)
def test_soft_edges_are_no_classes(kind: str) -> None:
    (problem,) = problems(*(SOFT[kind](number) for number in range(4)))
    assert "soft edges in" in problem
    assert "m0" in problem
    assert "--threshold" in problem


def stripes(number: int) -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    return np.clip((y + (3 * np.sin(x / 9 + number)).astype(int) - 20) // 2, 0, 8)


def cells(number: int) -> np.ndarray:
    seeds = np.random.default_rng(number).uniform(0, 64, (31, 2))
    y, x = np.mgrid[:64, :64]
    return ((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2).argmin(-1)


CLASSES = {
    "two": disc,
    "of grey values": lambda k: 64 * disc(k) + 64 * disc(k, 64, 0.15) + 127 * disc(k, 64, 0.08),
    "31 areas": cells,
    "31 in noise": lambda k: np.random.default_rng(k).integers(0, 31, (64, 64)),
    "four in noise": lambda k: np.random.default_rng(k).choice([0, 64, 128, 255], (64, 64)),
    "thin layers in order": stripes,
    "a thin wall": lambda k: disc(k) + disc(k, 64, 0.235),
    "one in each": lambda k: (k + 1) * disc(k),
    "a grey value in each": lambda k: (64, 128, 192, 255)[k] * disc(k),
    "some in some": lambda k: disc(k) + (k > 1) * (disc(k, 64, 0.1) + 8 * disc(k, 64, 0.05)),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_areas_are_classes_however_many_and_of_whatever_value(kind: str) -> None:
    assert problems(*(CLASSES[kind](number) for number in range(4))) == []


def ball() -> np.ndarray:
    """A ball, smoothed as interpolation does."""
    axes = np.mgrid[-12:12, -12:12, -12:12].astype(np.float64)
    radius = np.sqrt((axes**2).sum(axis=0))
    return np.rint(255 * (10 - radius).clip(0, 1)).astype(np.int32)


def test_soft_edges_in_a_volume_are_no_classes() -> None:
    (problem,) = encoding_problems({"ball": look_at_volume(ball())})
    assert "soft edges in 1 mask (ball)" in problem
    assert "--threshold 128" in problem
    assert encoding_problems({"ball": look_at_volume((ball() > 127).astype(np.int32))}) == []


def test_structures_of_a_volume_are_classes_however_thin() -> None:
    rng = np.random.default_rng(3)
    shells = np.minimum(np.linspace(0, 14, 24).astype(np.int32)[:, None, None], 12) + np.zeros((24, 24, 24), np.int32)
    parcels = rng.integers(1000, 1036, (6, 6, 6)).repeat(4, 0).repeat(4, 1).repeat(4, 2).astype(np.int32)
    parcels[ball() == 0] = 0
    for labels in (shells, parcels):
        assert encoding_problems({"labels": look_at_volume(labels)}) == []


@pytest.mark.parametrize(
    ("masks", "text"),
    [
        ([disc(), disc(1), 255 * disc(2)], r"masks hold 1 in 2 masks \(m0, m1\) and 255 in 1 mask \(m2\).*--threshold 1 "),
        ([disc(), 100 * disc(1)], "--classes 0,1,100 keeps"),
        ([255 * disc(), 65535 * disc(1)], "--threshold 255"),
        ([disc() * 0 + 1, disc() * 0 + 255], "--classes 0,1,255 keeps"),
        ([disc() + disc(0, 64, 0.1), 127 * disc(1) + 128 * disc(1, 64, 0.1)], "write them alike"),
    ],
)
def test_masks_of_two_encodings_are_told_apart_from_masks_of_three_classes(masks, text) -> None:
    (problem,) = problems(*masks)
    assert problem.startswith("two encodings: ")
    assert re.search(text, problem)
    assert problems(*masks, np.hstack(masks)) == []  # a mask that holds both says that they are two classes


def test_an_encoding_other_than_the_stores_is_told() -> None:
    (problem,) = problems(disc(), known=(0, 255))
    assert "255 in the store" in problem
    assert problems(255 * disc(), known=(0, 255)) == []


def test_pixels_and_images_are_counted_for_each_class_and_many_are_shortened() -> None:
    masks = [look(np.array([[0, 0, 7]], np.int32)), look(np.array([[0, 9, 9]], np.int32), ignore=9)]
    assert class_counts(masks, (7, 0, 5)) == ((7, 1, 1), (0, 3, 2), (5, 0, 0))
    many = in_words(class_counts([look(np.arange(40, dtype=np.int32)[None])], range(40)))
    assert many.startswith("0 (1 pixel in 1 image), 1 (")
    assert many.endswith("11 (1 pixel in 1 image) and 28 more")


def test_a_threshold_reads_two_classes_and_leaves_what_is_ignored() -> None:
    mask = np.array([[0, 127, 128, 254, 255]], np.int32)
    assert as_meant(mask, 128, None, None).tolist() == [[0, 0, 1, 1, 1]]
    assert as_meant(mask, 128, (0, 255), 254).tolist() == [[0, 0, 255, 254, 255]]
    assert require_classes(None, None, 128) == (0, 1)
    assert require_classes(None, None) is None
    with pytest.raises(TedmError, match="--threshold makes two classes, and --classes names 3: 0, 1, 2"):
        require_classes((0, 1, 2), None, 5)


def test_a_manifest_of_soft_masks_is_refused_until_it_is_said_how_to_read_them(tmp_path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    soft = SOFT["shrunk bilinearly"](0)
    Image.fromarray(soft.astype(np.uint8)).save(tmp_path / "masks" / "a.png")
    Image.fromarray((soft // 2 + 9).astype(np.uint8)).save(tmp_path / "images" / "a.png")
    with pytest.raises(TedmError, match=r"soft edges in 1 mask \(images.a\.png\)"):
        read_manifest(tmp_path)
    with pytest.raises(TedmError, match=r"are none of the classes 0, 255.*--threshold 128"):
        read_manifest(tmp_path, classes=(0, 255))
    manifest = read_manifest(tmp_path, threshold=128)
    assert manifest.classes == (0, 1)
    np.testing.assert_array_equal(manifest.read_mask(manifest.entries[0]), soft >= 128)
    inside = int((soft >= 128).sum())
    assert manifest.sentences() == [
        f"classes in the masks: 0 ({64 * 64 - inside:,} pixels in 1 image), 1 ({inside} pixels in 1 image)"
    ]
    manifest = read_manifest(tmp_path, threshold=128, classes=(0, 255))
    assert manifest.classes == (0, 255)
    np.testing.assert_array_equal(manifest.read_mask(manifest.entries[0]), soft >= 128)
    every = tuple(int(value) for value in np.unique(soft))
    assert read_manifest(tmp_path, classes=every).classes == every
    assert read_manifest(tmp_path, masks=False).classes is None


@pytest.mark.parametrize(("threshold", "empty"), [(300, 1), (0, 0)])
def test_a_threshold_that_no_pixel_or_every_pixel_reaches_is_refused(tmp_path, threshold: int, empty: int) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        Image.fromarray((255 * disc()).astype(np.uint8)).save(tmp_path / name / "a.png")
    with pytest.raises(TedmError, match=f"--threshold {threshold} leaves class {empty} without a pixel"):
        read_manifest(tmp_path, threshold=threshold)
    assert read_manifest(tmp_path, threshold=128).classes == (0, 1)
