"""The report in a real browser: a Chromium of the system, without a window.

A report of a real small evaluation and a probe with hostile texts and a word of 300 letters. Skips where there is no Chromium.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tedm.cli import report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium: apt-get install chromium")

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright, one of the developers' packages")
    with api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])  # root has no sandbox
        yield started
        started.close()


@pytest.fixture(scope="module")
def page(browser: Any, evaluated: Path, probed: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The report, open; what went wrong while it loaded is in `page.wrong`, what it asked for in `page.asked`."""
    out = tmp_path_factory.mktemp("browser") / "report.html"
    made = CliRunner().invoke(report.main, [str(evaluated / "evaluation"), str(probed), "--out", str(out)])
    assert made.exit_code == 0, made.output
    page = browser.new_page(viewport=WIDE)
    page.wrong, page.asked = [], []
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("requestfailed", lambda request: page.wrong.append(request.url))
    page.on("dialog", lambda dialog: (page.wrong.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(out.as_uri(), wait_until="load")
    return page


@pytest.fixture(autouse=True)
def as_it_was(page: Any) -> Iterator[None]:
    yield
    page.set_viewport_size(WIDE)
    page.emulate_media(media="screen", color_scheme="light")
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = false)")


def test_it_loads_without_a_complaint_and_asks_for_nothing(page: Any) -> None:
    assert page.wrong == []
    assert [url for url in page.asked if not url.startswith("data:image/png")] == [page.url]
    images = page.evaluate("[...document.images].map(image => [image.complete, image.naturalWidth, image.alt])")
    assert len(images) > 8
    assert all(complete and width > 0 and alt for complete, width, alt in images)
    assert page.evaluate("document.scripts.length") == 0


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desktop", "phone"])
def test_the_page_never_scrolls_sideways_and_wide_tables_do(page: Any, size: Any) -> None:
    page.set_viewport_size(size)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    right = "each => Math.ceil(each.getBoundingClientRect().right)"
    narrow = page.evaluate(f"[...document.querySelectorAll('figure:not(.wide) img, .wide .scrolls')].map({right})")
    assert max(narrow) <= size["width"]
    wide = page.evaluate("[...document.querySelectorAll('.wide .scrolls')].map(box => [box.scrollWidth, box.clientWidth])")
    assert wide
    assert all((inner > outer) == (size is PHONE) for inner, outer in wide)  # on a phone they scroll in their box
    boxes = page.evaluate("[...document.querySelectorAll('.scroll')].map(box => [box.scrollWidth, box.clientWidth])")
    assert any(inner > outer for inner, outer in boxes) or size is WIDE
    widths = page.evaluate("[...document.querySelectorAll('.pictures img')].map(i => i.naturalWidth < 300 ? 301 : i.width)")
    assert min(widths) > 300


def test_headings_come_in_order_and_the_contents_lead_to_them(page: Any) -> None:
    ranks = [int(name[1]) for name in page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(e => e.tagName)")]
    assert ranks[0] == 1
    assert ranks.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(ranks))
    links = page.locator("nav a")
    pairs = "[...document.querySelectorAll('nav a')].map(a => [a.textContent, document.querySelector(a.hash).textContent])"
    titles = page.evaluate(pairs)
    assert len(titles) == links.count() >= 8
    assert all(link == heading for link, heading in titles)
    links.nth(2).click()
    assert page.evaluate("document.querySelector(location.hash).getBoundingClientRect().top") < WIDE["height"]


def test_the_best_is_bold(page: Any) -> None:
    bold = page.locator("td strong")
    assert bold.count() > 0
    assert "±" in bold.first.text_content() or float(bold.first.text_content()) > 0
    weights = page.evaluate("e => [...document.querySelectorAll(e)].map(e => +getComputedStyle(e).fontWeight)", "td strong, td")
    assert max(weights) >= 700 > min(weights)


def test_details_open(page: Any) -> None:
    details = page.locator("details")
    assert details.count() > 5
    for number in range(details.count()):
        assert not details.nth(number).locator("table").is_visible()
        details.nth(number).locator("summary").click()
        assert details.nth(number).locator("table").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_the_paper(page: Any, scheme: Any) -> None:
    """Contrast as WCAG 2 defines it: 7 for text, 4.5 for what stands below and for links."""
    page.emulate_media(color_scheme=scheme)
    assert _contrast(page, "main p", "body") > 7
    assert _contrast(page, "figcaption", "body") > 4.5
    assert _contrast(page, "nav a", "nav") > 4.5
    paper = _luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper < 0.1) == (scheme == "dark")


def test_it_prints_with_every_table(page: Any) -> None:
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="print")
    assert all(table.is_visible() for table in page.locator("details table").all())


def _contrast(page: Any, letters: str, paper: str) -> float:
    ink = _luminance(page.evaluate("e => getComputedStyle(document.querySelector(e)).color", letters))
    ground = _luminance(page.evaluate("e => getComputedStyle(document.querySelector(e)).backgroundColor", paper))
    return (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)


def _luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("kind", [".tiles", ".pictures"])
def test_a_picture_fills_the_window_after_a_click_and_goes_back(page: Any, size: Any, kind: str) -> None:
    page.set_viewport_size(size)
    picture = page.locator(f"{kind} figure:not(.wide) img").first
    small = picture.bounding_box()["width"]
    picture.click()
    box = page.locator("figure:target").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, size["width"], size["height"])
    large = page.locator("figure:target img").bounding_box()
    assert large["width"] > 1.05 * small or kind == ".pictures"
    assert large["x"] >= 0
    assert large["x"] + large["width"] <= size["width"]
    page.locator("figure:target .close").click()
    assert page.locator("figure:target").count() == 0
    assert picture.bounding_box()["width"] == small
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desktop", "phone"])
def test_the_first_screen_is_words(page: Any, size: Any) -> None:
    page.set_viewport_size(size)
    page.evaluate("scrollTo(0, 0)")
    boxes = page.locator(".opening p").all()
    assert [box.locator("strong").text_content() for box in boxes] == [
        "What was compared.",
        "What came out.",
        "What to do next.",
    ]
    assert boxes[1].bounding_box()["y"] < size["height"]
    assert page.locator(".opening").bounding_box()["y"] < page.locator("nav").bounding_box()["y"]
