"""Pages as the site shows them: README.md and its like as pages, notebooks as text, links to where both are.

Files keep their places and their links, which hold on a disk and in a repository's web pages. The site has `docs/` only: what
lies beside it has a page there, and links to it lead to that page.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
# A page takes a file in with such a line.
TAKEN_IN = re.compile(r"^<!-- all of (\S+) -->$", re.MULTILINE)
# A file that lies beside docs/, and the page that shows it.
PAGES = {
    file: page.relative_to(ROOT).as_posix()
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for file in TAKEN_IN.findall(page.read_text(encoding="utf-8"))
} | {"LICENSE": "docs/licence.md"}
_FENCE = re.compile(r"(^ *(`{3,}|~{3,}).*?^ *\2 *$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")


def setup(app: Sphinx) -> dict[str, bool]:
    """Have every page read through here."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    path = app.env.doc2path(name)
    page = PurePosixPath("docs", os.path.relpath(path, app.srcdir))
    if path.suffix == ".md":
        source[0] = TAKEN_IN.sub(lambda found: _taken_in(app, found[1], page), relinked(source[0], page, page))


def _taken_in(app: Sphinx, name: str, page: PurePosixPath) -> str:
    app.env.note_dependency(str(ROOT / name))
    text = (ROOT / name).read_text(encoding="utf-8")
    return relinked(as_markdown(json.loads(text)) if name.endswith(".ipynb") else text, PurePosixPath(name), page)


def relinked(text: str, home: PurePosixPath, page: PurePosixPath) -> str:
    """Turn a file's links into those of the page that shows it.

    Parameters
    ----------
    text : str
        Markdown. What stands in fences is left alone.
    home, page : PurePosixPath
        Where the file lies and where the page is, relative to the root of the repository.
    """

    def led(found: re.Match[str]) -> str:
        opening, target, anchor, closing = found.groups()
        if ":" in target:  # a web address, or a picture's own bytes
            return found[0]
        meant = os.path.normpath(home.parent / target)
        shown = PAGES.get(meant, meant)
        return f"{opening}{os.path.relpath(shown, page.parent)}{anchor or ''}{closing}"

    parts = _FENCE.split(text)  # text, fence, its mark, text, ...
    parts[2::3] = [""] * len(parts[2::3])
    return "".join(part if index % 3 else _LINK.sub(led, part) for index, part in enumerate(parts))


def as_markdown(notebook: dict[str, Any]) -> str:
    """Return a notebook with what it shows: code, printed text and pictures in their order."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        parts += [_shown(output) for output in cell["outputs"]]
    return "\n\n".join(parts) + "\n"


def _shown(output: dict[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        return f"![What the cell above draws](data:image/png;base64,{''.join(data['image/png'].split())})"
    return f"```text\n{''.join(data['text/plain']).rstrip()}\n```"
