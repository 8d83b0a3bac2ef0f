"""The site as a browser reads it: what pages link to, and what can be linked to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Which attribute of which element makes a browser fetch something, or go somewhere.
LEADS = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "source": "src", "form": "action"}


class Page(HTMLParser):
    """A page: its links as (element, target), its anchors, and the text of its article."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[tuple[str, str]] = []
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self._in_article = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in an element."""
        of = dict(attrs)
        self._in_article |= tag == "article"
        self.anchors |= {value for key in ("id", "name") if (value := of.get(key))}
        if (target := of.get(LEADS.get(tag, ""))) is not None:
            self.links.append((tag, target))

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._in_article &= tag != "article"

    def handle_data(self, data: str) -> None:
        """Take in text."""
        if self._in_article:
            self.words += data.replace("\N{PILCROW SIGN}", "").removesuffix("#").split()

    @property
    def text(self) -> str:
        """The article's words, a space between two."""
        return " ".join(self.words)


def pages_of(site: Path) -> dict[Path, Page]:
    """Return all pages of a site."""
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


def fetched_from_elsewhere(pages: dict[Path, Page]) -> Iterator[str]:
    """Yield what pages would fetch from the network."""
    for path, page in pages.items():
        yield from (f"{path.name}: {tag} {to}" for tag, to in page.links if tag != "a" and urlsplit(to).netloc)


def links_to_nothing(pages: dict[Path, Page]) -> Iterator[str]:
    """Yield links within the site whose file or anchor is not there."""
    for path, page in pages.items():
        for _, target in page.links:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target in ("", "#"):
                continue
            to = Path(os.path.normpath(path.parent / unquote(parts.path))) if parts.path else path
            if not to.is_file() or (to in pages and parts.fragment and unquote(parts.fragment) not in pages[to].anchors):
                yield f"{path.name}: {target}"
