from __future__ import annotations

import numpy as np

from tedm.show.figures import png
from tedm.show.panels import blank, edges
from tedm.show.report import GENERATOR, Picture, Section, Sheet, Tile, report_html, tile_figure


def test_sections_stand_in_their_order_with_their_ranks() -> None:
    inner = Section("inner", words=["deep"], sections=[Section("innermost")])
    page = report_html("title", ["hello"], [Section("first", sections=[inner]), Section("second")], made_by="9.9")
    places = [page.index(f">{title}</h{rank}>") for rank, title in ((1, "title"), (2, "first"), (3, "inner"), (4, "innermost"))]
    assert places == sorted(places)
    assert places[-1] < page.index(">second</h2>")
    assert GENERATOR in page[:1000]
    assert page.count('href="#part-1-1"') == page.count('id="part-1-1"') == 1


def test_bold_entries_are_strong_and_others_are_not() -> None:
    sheet = Sheet("c", ["method", "n = 1"], [["a", ("1.0", True)], ["b", ("2.0", False)], ["c", "3.0"]])
    page = report_html("t", [], [Section("s", sheets=[sheet])], made_by="1")
    assert page.count("<strong>") == 1
    assert "<td><strong>1.0</strong></td>" in page
    assert "<td>2.0</td>" in page
    assert "<td>3.0</td>" in page


def picture_of(width: float, height: float) -> Picture:
    return Picture(png(blank(width, height)), "alt", "caption", Sheet("d", ["x"], [["2"]]))


def test_panels_side_by_side_get_the_width_of_the_page() -> None:
    for width, height, wide in ((5, 2, True), (3, 2, False), (2, 5, False)):
        page = report_html("t", [], [Section("s", pictures=[picture_of(width, height)])], made_by="1")
        assert ('class="wide">' in page) == wide


def test_a_sheet_stands_beside_the_pictures_where_that_is_asked_for() -> None:
    sheet, picture = Sheet("c", ["x"], [["1"]]), picture_of(2, 2)
    for beside in (True, False):
        page = report_html("t", [], [Section("s", sheets=[sheet], pictures=[picture], beside=beside)], made_by="1")
        assert (page.index('class="pictures"') < page.index('<p class="caption">c')) == beside
        assert page.count('<p class="caption">c') == 1


def test_a_tile_has_the_mask_and_the_truth() -> None:
    image = np.linspace(0, 1, 96).reshape(8, 12)
    mask, truth = np.zeros((8, 12), np.uint8), np.zeros((8, 12), np.uint8)
    mask[2:5, 3:7], truth[2:6, 3:7] = 1, 1
    (axes,) = tile_figure(image, mask, truth=truth).axes
    assert [len(lines.get_segments()) for lines in axes.collections] == [len(edges(mask == 1)), len(edges(truth == 1))]
    assert not tile_figure(image).axes[0].collections
    assert len({png(tile_figure(image)), png(tile_figure(image, mask)), png(tile_figure(image, mask, truth=truth))}) == 3


def test_the_opening_stands_before_the_contents_and_everything_else() -> None:
    page = report_html("t", ["made of"], [Section("s")], made_by="1", opening=[("What came out", "a < b")])
    assert page.index("<strong>What came out.</strong> a &lt; b") < page.index("made of") < page.index('id="contents"')
    assert "In short" not in report_html("t", [], [], made_by="1")


def test_pictures_enlarge_by_their_address_and_have_a_way_back() -> None:
    tile = Tile(picture_of(2, 2).png, "alt", "caption")
    page = report_html("t", [], [Section("s", pictures=[picture_of(5, 2)], tiles=[tile, tile])], made_by="1")
    for place in ("part-1-figure-1", "part-1-tile-1", "part-1-tile-2"):
        assert page.count(f'<figure id="{place}"') == page.count(f'href="#{place}"') == 1
        assert page.count(f'href="#{place}-back"') == page.count(f'id="{place}-back"') == 1
    assert page.count("data:image/png") == 3


def test_text_that_turns_what_stands_around_it_is_shown_as_an_escape() -> None:
    page = report_html("scan \u202e gnp", ["two\nlines\x1b \ud800"], [], made_by="1")
    assert "scan \\u202e gnp" in page
    assert "two\nlines\\x1b \\ud800" in page
    page.encode()
