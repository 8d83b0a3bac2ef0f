"""The parts of a report that show a result folder as it stands: its figures, its tables, and what was run on what."""

from __future__ import annotations

from tedm.errors import TedmError
from tedm.show.report import Picture, Section, Sheet
from tedm.study.report.result import BOLD, MAKERS, ResultFolder
from tedm.study.report.words import rounded

PNG = b"\x89PNG\r\n\x1a\n"
# Rows of a table that belongs to no figure; the numbers of a figure are always shown whole.
MOST_ROWS = 200


def as_it_stands(result: ResultFolder) -> Section:
    """Return what a folder says and shows, whatever made it."""
    pictures = []
    for figure in result.figures:
        picture = result.bytes_of(figure.file)
        if not picture.startswith(PNG):
            raise TedmError(f"{result.path / figure.file} is no PNG; write it again with {MAKERS[result.kind]}")
        titles, *rows = result.rows_of(figure.table)
        sheet = Sheet(f"{figure.table}, rounded to 4 digits", titles, [list(map(rounded, row)) for row in rows])
        pictures.append(Picture(picture, figure.alt, figure.caption, sheet))
    short: list[Sheet] = []
    long: list[Sheet] = []
    for table in result.tables:
        titles, *rows = result.rows_of(table.file)
        rest = f"; the first {MOST_ROWS} of {len(rows)} rows, all are in {table.file}" if len(rows) > MOST_ROWS else ""
        shown = [list(map(rounded, row)) for row in rows[:MOST_ROWS]]
        sheet = Sheet(f"{table.caption} (rounded to 4 digits{rest})", titles, shown)
        if result.kind == "study" and shown == rows:  # printed as they are
            sheet = Sheet(table.caption, titles, [list(map(_marked, row)) for row in rows])
        (long if len(rows) > 30 else short).append(sheet)
    words = () if result.kind == "evaluation" else result.words  # an evaluation's stand above its scores
    return Section(result.title, words=words, pictures=pictures, sheets=short, closed=long)


def provenance(result: ResultFolder) -> Section:
    """Return what was run on what."""
    about = [("folder", str(result.path)), ("kind", result.kind), *result.about, ("made by", result.made_by)]
    return Section(result.title, about=about)


def _marked(text: str) -> str | tuple[str, bool]:
    """Return an entry with whether it is bold, which text of a study's tables says by a star behind it."""
    return (text.removesuffix(BOLD), True) if text.endswith(BOLD) else text
