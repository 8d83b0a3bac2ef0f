"""Many pictures on one sheet."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tedm.show.overlays.sheet import MOST, SIDE, contact_sheet


def grey(value: int, size: tuple[int, int] = (40, 20)) -> Image.Image:
    return Image.new("RGB", size, (value, value, 90))


def test_every_picture_is_on_the_sheet_whatever_its_size():
    sizes = [(40, 20), (20, 40), (900, 900), (1, 1), (3, 700)]
    pictures = [(f"p{at}", lambda at=at, size=size: grey(10 + at, size)) for at, size in enumerate(sizes)]
    drawn = np.asarray(contact_sheet(pictures, [("lung", "#e69f00")]))
    for at in range(len(sizes)):
        assert (drawn == (10 + at, 10 + at, 90)).all(axis=-1).sum() >= SIDE, at
    assert (drawn == (0xE6, 0x9F, 0)).all(axis=-1).any()


def test_of_many_pictures_some_are_shown_and_only_these_are_opened():
    opened: list[int] = []

    def picture(at: int) -> Image.Image:
        opened.append(at)
        return grey(100)

    sheet = contact_sheet([(f"p{at}", lambda at=at: picture(at)) for at in range(3 * MOST)], [])
    assert opened == [3 * at for at in range(MOST)]
    assert sheet.width < 3000 > sheet.height
