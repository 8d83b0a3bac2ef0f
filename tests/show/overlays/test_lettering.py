"""Words under pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tedm.show.overlays.lettering import LARGEST, SMALLEST, font, letter_size, shortened, with_legend

ITEMS = [("left lung", "#e69f00"), ("heart", "#56b4e9")]


def test_a_legend_is_under_the_picture_which_stays_as_it_is(rng):
    pixels = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
    whole = np.asarray(with_legend(Image.fromarray(pixels), ITEMS, 11))
    np.testing.assert_array_equal(whole[:30, :40], pixels)
    assert whole.shape[1] > 40, "an entry does not fit under a picture of 40 pixels"
    assert (whole[:30, 40:] == 255).all()
    for colour in ((0xE6, 0x9F, 0), (0x56, 0xB4, 0xE9)):
        assert (whole[30:] == colour).all(axis=-1).sum() > 60


def test_entries_that_do_not_fit_side_by_side_are_below_each_other():
    wide, narrow = (with_legend(Image.new("RGB", (width, 10)), ITEMS, 11) for width in (600, 120))
    assert narrow.height > wide.height
    assert with_legend(narrow, [], 11) is narrow


def test_letters_grow_with_the_picture_and_names_are_shortened_in_their_middle():
    assert [letter_size(*size) for size in ((64, 64), (1000, 2000), (9000, 9000))] == [SMALLEST, 22, LARGEST]
    name = "patient-with-a-long-name-of-2026_left"
    short = shortened(name, 120, 13)
    assert font(13).getlength(short) <= 120
    assert (short[:3], short[-3:], "…" in short) == (name[:3], name[-3:], True)
    assert shortened("ab\x1b[31m", 500, 13) == "ab\\x1b[31m"
