"""The site that `make docs` makes: no warning, no dead link, nothing from the network, all names and options; pages fit."""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image
from site_blocks import blocks_of
from site_pages import Page, fetched_from_elsewhere, links_to_nothing, pages_of

from tedm.cli.shared.commands import COMMANDS, command_named
from tedm.cli.shared.common import COMMON

ROOT = Path(__file__).resolve().parents[1]
for each in ("sphinx", "myst_parser", "pydata_sphinx_theme", "sphinx_click"):
    pytest.importorskip(each, reason="needs the extra tedm[docs]")
sys.path.insert(0, str(ROOT / "docs" / "extensions"))
import doors  # noqa: E402
import pages as shown  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The site as the recipe of `make docs` builds it, once for all processes of the tests."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (base / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / "build").exists():
            (recipe,) = re.findall(r"^\t.*\$\(BIN\)/python (-m sphinx .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert "--fail-on-warning" in recipe
            command = [sys.executable, *shlex.split(recipe.replace("build/", f"{base}/build/"))]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            (base / "said.txt").write_text(f"{done.returncode}{done.stdout}{done.stderr}")
    return base


@pytest.fixture(scope="session")
def pages(site) -> dict[Path, Page]:
    return pages_of(site / "build" / "site")


def test_it_is_built_without_a_warning(site):
    assert (site / "said.txt").read_text() == "0"


def test_its_links_lead_somewhere_and_nothing_is_fetched(pages):
    assert len(pages) > 60
    assert sum(len(page.links) for page in pages.values()) > 3000
    assert list(links_to_nothing(pages)) == []
    assert list(fetched_from_elsewhere(pages)) == []


def test_its_styles_fetch_nothing(site):
    styles = [path.read_text(encoding="utf-8") for path in (site / "build" / "site").rglob("*.css")]
    assert len(styles) > 3
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)]*", "".join(styles)) == []


@pytest.mark.parametrize("door", doors.DOORS)
def test_every_public_name_of_a_door_is_in_the_reference(pages, door):
    of_door = [page for path, page in pages.items() if path.stem.split("-")[0] == door.rpartition(".")[2]]
    anchors = {anchor for page in of_door for anchor in page.anchors}
    words = {word.strip(",") for page in of_door for word in page.words}
    names = {name for names in doors.names_of(door) for name in names}
    assert names
    assert {name for name in names if f"{door}.{name}" not in anchors and not {name, f"tedm.{name}"} <= words} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_of_a_command_is_in_the_reference(pages, site, name):
    page = pages[site / "build" / "site" / "reference" / "generated" / f"{name}.html"]
    words = {word.strip(",") for word in page.words}
    for param in command_named(name).params:
        if param.param_type_name == "argument":
            assert str(param.human_readable_name) in page.text
        else:
            assert (param.name in COMMON) != (set(param.opts) <= words), param.name
    assert COMMANDS[name] in pages[site / "build" / "site" / "reference" / "commands.html"].text


def test_options_of_all_commands_are_on_the_page_that_the_reference_names(pages, site):
    text = pages[site / "build" / "site" / "commands.html"].text
    assert [name for name in COMMON if f"--{name.replace('_', '-')}" not in text] == []


def test_the_first_page_is_the_readme(pages, site):
    """Its source takes in the whole of README.md; headings, words of paragraphs, blocks and the picture come out."""
    source = (ROOT / "docs" / "index.md").read_text()
    assert shown.TAKEN_IN.findall(source) == ["README.md"]
    assert re.sub(r"<!-- .* -->|```\{toctree\}.*?```", "", source, flags=re.DOTALL).strip() == ""
    readme, page = ROOT / "README.md", pages[site / "build" / "site" / "index.html"]
    for block in blocks_of(readme):
        assert "".join(block.text.split()) in page.text.replace(" ", "")
    plain = re.sub(r"```.*?```|<!--.*?-->|!\[.*?\]\(.*?\)|^\|.*?$", "", readme.read_text(), flags=re.DOTALL | re.MULTILINE)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`#*]", r"\1", plain)
    assert [word for word in plain.split() if word.strip(".,:;()") not in page.text] == []
    assert [to for tag, to in page.links if tag == "img"] == ["_images/picture.png"]


def test_every_page_of_the_docs_can_be_reached_and_says_what_it_is(pages, site):
    """By the menus: what stands in no menu would be a warning, and a page without a heading has no name in one."""
    root = site / "build" / "site"
    for path in (ROOT / "docs").rglob("*.md"):
        page = pages[root / path.relative_to(ROOT / "docs").with_suffix(".html")]
        assert len(page.words) > 20, path


@pytest.mark.parametrize(
    ("link", "home", "page", "there"),
    [
        ("docs/heads.md#views", "README.md", "docs/index.md", "heads.md#views"),
        ("CONTRIBUTING.md", "README.md", "docs/index.md", "contributing.md"),
        ("../CONTRIBUTING.md", "docs/backbones.md", "docs/backbones.md", "contributing.md"),
        ("../notebooks/05-volumes.ipynb", "docs/volumes.md", "docs/volumes.md", "notebooks/05-volumes.md"),
        ("../docs/volumes.md", "notebooks/05-volumes.ipynb", "docs/notebooks/05-volumes.md", "../volumes.md"),
        ("../heads.md", "docs/results/votes.md", "docs/results/votes.md", "../heads.md"),
        ("https://doi.org/10.1038/x", "README.md", "docs/index.md", "https://doi.org/10.1038/x"),
    ],
)
def test_a_link_leads_to_the_page_that_shows_its_file(link, home, page, there):
    text = shown.relinked(f"see [that]({link})\n", PurePosixPath(home), PurePosixPath(page))
    assert text == f"see [that]({there})\n"


def test_links_in_blocks_of_code_stay():
    text = "```python\nf[0](README.md)\n```\n"
    assert shown.relinked(text, PurePosixPath("README.md"), PurePosixPath("docs/index.md")) == text


def test_a_notebook_is_its_text_code_prints_and_pictures():
    cell = {"cell_type": "code", "source": ["print(1)\n", "f()"]}
    printed = {"output_type": "stream", "text": ["1\n"]}
    drawn = {"output_type": "execute_result", "data": {"image/png": "aW1n\n", "text/plain": ["<Figure>"]}}
    notebook = {"cells": [{"cell_type": "markdown", "source": ["# Title"]}, cell | {"outputs": [printed, drawn]}]}
    picture = "![What the cell above draws](data:image/png;base64,aW1n)"
    assert shown.as_markdown(notebook) == f"# Title\n\n```python\nprint(1)\nf()\n```\n\n```text\n1\n```\n\n{picture}\n"


def test_signatures_name_type_aliases():
    assert doors.aliases()["Sampling"] == "tedm.heads.Sampling"
    assert "Features" not in doors.aliases()
    assert all(hasattr(importlib.import_module(to.rpartition(".")[0]), name) for name, to in doors.aliases().items())


# Elements of the article that reach beyond the window, and are in no box of their own that scrolls.
BEYOND = """() => [...document.querySelectorAll('.bd-article *')].filter(e => {
  const of = e.getBoundingClientRect();
  return of.width && of.right > innerWidth + 1 && !e.closest('.pst-scrollable-table-container, pre');
}).slice(-2).map(e => e.tagName + ' ' + e.textContent.slice(0, 80))"""
LOOKED_AT = [
    "index",
    "first-masks",
    "which-tool",
    "volumes",
    "reference/heads",
    "reference/generated/fit",
    "notebooks/05-volumes",
    "genindex",
]


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_a_desk_and_a_phone_and_ask_for_nothing_from_the_network(site, width):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra tedm[dev]")
    asked: list[str] = []
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])  # root has no sandbox
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        for name in LOOKED_AT:
            page.goto((site / "build" / "site" / f"{name}.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            assert page.evaluate(BEYOND) == [], name
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.slow
def test_the_first_picture_is_what_its_script_draws(tmp_path):
    """Up to the last bits of another processor."""
    pytest.importorskip("nilearn", reason="needs the extra tedm[demo]")
    script = ROOT / "docs" / "picture.py"
    drawn_to = tmp_path / "picture.png"
    subprocess.run([sys.executable, str(script), str(drawn_to)], check=True, capture_output=True)
    drawn, kept = (np.asarray(Image.open(path).convert("L"), float) for path in (drawn_to, script.with_suffix(".png")))
    assert drawn.shape == kept.shape
    assert np.mean(np.abs(drawn - kept) > 8) < 0.01
