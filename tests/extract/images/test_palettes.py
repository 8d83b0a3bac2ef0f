"""Rows of the table of palettes in docs/formats.md, and the manifest that asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images.manifest import read_manifest
from tedm.extract.images.palettes import Palettes
from tedm.extract.images.reader import FileLabels

BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0)
VOC = [BLACK, (128, 0, 0), (0, 128, 0)]


def shown(values: list[int], colours: list[tuple[int, int, int]] | None = None, white: float = 255, **more: bool) -> FileLabels:
    """A mask of a palette, or of grey."""
    array = np.array([values], np.int32)
    return FileLabels(array, np.array(colours, np.uint8)) if colours else FileLabels(array, white=white, **more)


def problems(*masks: FileLabels, ignore: int | None = None) -> list[str]:
    palettes = Palettes()
    for letter, mask in zip("abcdef", masks, strict=False):
        assert palettes.note(Path(f"{letter}.png"), mask) is mask.values
    return palettes.problems(ignore)


REMEDY = "save all masks with one palette, or their class values as grey"
ROWS = {
    "palettes-alike": [
        ([shown([0, 1], VOC), shown([0, 2], VOC), shown([0], [BLACK])], None, []),
        ([shown([0, 1], VOC), shown([0, 2], [BLACK, RED, VOC[2]])], None, []),  # where they differ, index 1 is not used
        ([shown([0, 1], [BLACK, BLACK]), shown([1], [BLACK, BLACK])], None, []),  # without colours, for the indices alone
        ([shown([0, 5], VOC), shown([0, 5], VOC)], None, []),  # an index beyond the palette has no colour
    ],
    "palettes-recoloured": [
        (
            [shown([0, 1, 2], VOC), shown([0, 1, 2], [BLACK, VOC[2], VOC[1]])],
            None,
            [
                "mask b.png: index 1 of its palette is the colour (0, 128, 0), and the colour (128, 0, 0) in a.png; " + REMEDY,
                "mask b.png: index 2 of its palette is the colour (128, 0, 0), and the colour (0, 128, 0) in a.png; " + REMEDY,
            ],
        ),
    ],
    "palettes-renumbered": [
        (
            [shown([0, 1], VOC), shown([0, 2], [BLACK, RED, VOC[1]])],
            None,
            ["mask b.png: the colour (128, 0, 0) is number 2, and number 1 in a.png; " + REMEDY],
        ),
    ],
    "palettes-beside-grey": [
        ([shown([0, 1, 2], VOC), shown([0, 1, 2])], None, []),
        (
            [shown([0, 1], [BLACK, WHITE]), shown([0, 255])],
            None,
            ["mask b.png: the colour (255, 255, 255) is number 255, and number 1 in a.png; " + REMEDY],
        ),
        ([shown([0, 1], [BLACK, WHITE]), shown([0, 1], white=1)], None, []),
        ([shown([0, 1], [WHITE, BLACK]), shown([0, 1], white=1)], None, 2),
        ([shown([0, 1], white=1), shown([0, 255])], None, []),  # numbers, of which the classes tell
    ],
    "palettes-white-is-zero": [
        ([shown([0, 1], white=1, inverted=True), shown([0, 1], white=1)], None, 2),
        ([shown([0, 255], inverted=True), shown([0, 255])], None, 2),
        ([shown([0, 1, 2], inverted=True), shown([0, 1, 2])], None, []),
        ([shown([0, 255], inverted=True), shown([0], inverted=True)], None, []),
        ([shown([0, 65535], white=65535, inverted=True), shown([0, 255])], None, 2),
    ],
    "palettes-ignored": [
        ([shown([0, 1, 2], VOC), shown([0, 2], [BLACK, RED, GREEN])], 2, []),
        ([shown([0, 1, 2], VOC), shown([0, 1, 2], [BLACK, RED, GREEN])], 2, 1),
    ],
}


CASES = [pytest.param(*case, id=f"{row}-{at}") for row, cases in ROWS.items() for at, case in enumerate(cases)]


@pytest.mark.parametrize(("masks", "ignore", "expected"), CASES)
def test_masks_number_colours_alike_or_are_refused(
    masks: list[FileLabels], ignore: int | None, expected: list[str] | int
) -> None:
    found = problems(*masks, ignore=ignore)
    assert len(found) == expected if isinstance(expected, int) else found == expected


def test_problems_do_not_depend_on_the_order_of_reading() -> None:
    one, two = Palettes(), Palettes()
    masks = [(Path("a"), shown([0, 1], VOC)), (Path("b"), shown([0, 1], [BLACK, RED]))]
    for palettes, order in ((one, masks), (two, masks[::-1])):
        for path, mask in order:
            palettes.note(path, mask)
    assert one.problems() == two.problems() != []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    return tmp_path


def save(folder: Path, name: str, labels: NDArray[np.uint8], order: list[int]) -> None:
    """Save an image, and its mask with a palette of black, red and green in an order of its own."""
    Image.fromarray(labels * 40).save(folder / "images" / f"{name}.png")
    mask = Image.frombytes("P", labels.shape[::-1], np.argsort(order).astype(np.uint8)[labels].tobytes())
    mask.putpalette([part for index in order for part in (BLACK, RED, GREEN)[index]])
    mask.save(folder / "masks" / f"{name}.png")


LABELS = np.random.default_rng(3).integers(0, 3, (8, 9), np.uint8)


def test_a_manifest_of_one_palette_has_its_indices_as_classes(folder: Path) -> None:
    for name in "abc":
        save(folder, name, LABELS, [0, 1, 2])
    manifest = read_manifest(folder)
    assert manifest.classes == (0, 1, 2)
    assert np.array_equal(manifest.read_mask(manifest.entries[1]), LABELS)


@pytest.mark.parametrize("classes", [None, [0, 1, 2]])
def test_a_manifest_of_palettes_in_other_orders_is_refused(folder: Path, classes: list[int] | None) -> None:
    for name, order in (("a", [0, 1, 2]), ("b", [0, 2, 1]), ("c", [0, 1, 2])):
        save(folder, name, LABELS, order)
    with pytest.raises(TedmError, match=r"b\.png: index 1 of its palette is the colour \(0, 255, 0\), and .* in .*a\.png;"):
        read_manifest(folder, classes=classes)
