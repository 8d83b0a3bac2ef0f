"""A result as a folder: what one command found out and another shows.

`result.json` says what was done to what, in words, and names the other files: figures, each with the table that holds its
numbers, tables by themselves, and data that only some readers know. A command that finds something out writes such a folder,
tedm-report shows it; neither knows the other.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from tedm.errors import TedmError, raise_listed
from tedm.files import new_folder
from tedm.foreign import MOST_JSON, bytes_of, plain_json
from tedm.text import from_entry

FORMAT = 1
DESCRIPTION = "result.json"
# The largest file that is read, and how names that are no UTF-8 are kept.
MOST_BYTES, NAMES = 2**28, "surrogateescape"
NO_TEXT = frozenset(map(chr, range(0xDC80, 0xDD00)))  # bytes that are no UTF-8, as this way of reading has them

# What follows a bold entry in a table of a study.
BOLD = " *"

Kind = Literal["evaluation", "probe", "study"]
MAKERS = {
    "evaluation": "tedm-evaluate STORE HEAD... --folder FOLDER",
    "probe": "tedm-probe STORE --out FOLDER",
    "study": "tedm-study STUDY.toml OUT",
}


@dataclass(frozen=True)
class ResultFigure:
    """A picture and its numbers.

    Parameters
    ----------
    file : str
        A PNG in the folder.
    table : str
        A CSV in the folder with every number that the picture shows.
    caption : str
        What is shown, on what, and what the intervals are: sentences.
    alt : str
        What a reader who cannot see the picture should know: its axes and what comes out.
    """

    file: str
    table: str
    caption: str
    alt: str


@dataclass(frozen=True)
class ResultTable:
    """A CSV in the folder, and what it holds."""

    file: str
    caption: str


@dataclass(frozen=True)
class ResultFolder:
    """What `result.json` says.

    Parameters
    ----------
    kind : {"evaluation", "probe", "study"}
        What was done.
    title : str
        One line.
    about : tuple of (str, str)
        Provenance as (label, value): store, settings, heads, splits, domains, labels used, seeds, the command.
    words : tuple of str
        Paragraphs: what came out, a recommendation.
    figures : tuple of ResultFigure
    tables : tuple of ResultTable
        Tables beside those of the figures.
    files : mapping of str to str
        Further files by the name of what they hold: {"records": "records.csv"}.
    made_by : str
        The version that wrote it.
    path : Path
        Where it was read; not written.
    """

    kind: Kind
    title: str
    about: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()
    figures: tuple[ResultFigure, ...] = ()
    tables: tuple[ResultTable, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    made_by: str = ""
    path: Path = Path()

    @property
    def named(self) -> list[str]:
        """Every file that it names, each once."""
        names = [name for figure in self.figures for name in (figure.file, figure.table)]
        return list(dict.fromkeys([*names, *(table.file for table in self.tables), *self.files.values()]))

    def bytes_of(self, name: str) -> bytes:
        """The content of one of its files; a `TedmError` if it cannot be read."""
        try:
            return bytes_of(self.path / name, most=MOST_BYTES)
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or error
            raise TedmError(f"cannot read {self.path / name}: {cause}; {_again(self.kind)}") from error

    def rows_of(self, name: str) -> list[list[str]]:
        """The rows of one of its tables, the titles of the columns first; a `TedmError` if it is damaged."""
        try:
            lines = csv.reader(io.StringIO(self.bytes_of(name).decode("utf-8-sig", NAMES), newline=""), strict=True)
            rows = [[from_entry(text) for text in line] for line in lines]
        except (UnicodeDecodeError, csv.Error) as error:
            raise TedmError(f"{self.path / name} is damaged ({error}); {_again(self.kind)}") from error
        if rows and not all(title.isascii() or NO_TEXT.isdisjoint(title) for title in rows[0]):
            raise TedmError(f"{self.path / name} is damaged (its titles are no UTF-8); {_again(self.kind)}")
        uneven = [number for number, row in enumerate(rows, 1) if len(row) != len(rows[0])]
        if not rows or uneven:
            cause = f"row {uneven[0]} has not as many entries as the first" if rows else "it is empty"
            raise TedmError(f"{self.path / name} is damaged ({cause}); {_again(self.kind)}")
        return rows


def write_result(
    folder: Path,
    *,
    kind: Kind,
    title: str,
    content: Mapping[str, bytes | str],
    about: Sequence[tuple[str, str]] = (),
    words: Sequence[str] = (),
    figures: Sequence[ResultFigure] = (),
    tables: Sequence[ResultTable] = (),
    files: Mapping[str, str] | None = None,
) -> ResultFolder:
    """Write a result to a new folder, whole or not at all.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty.
    content : mapping of str to bytes or str
        What is in each file that is named, by its name; text is written as UTF-8.
    kind, title, about, words, figures, tables, files
        See `ResultFolder`.

    Raises
    ------
    TedmError
        If the folder is taken, or cannot be written.

    Examples
    --------
    >>> table = ResultTable("scores.csv", "Dice by timestep")
    >>> content = {"scores.csv": "t,dice\\n1,0.9\\n"}
    >>> done = write_result(Path("probe"), kind="probe", title="A probe", content=content, tables=[table])
    >>> read_result(Path("probe")).rows_of("scores.csv")
    [['t', 'dice'], ['1', '0.9']]
    """
    folder = Path(folder)
    result = ResultFolder(
        kind,
        title,
        tuple((str(label), str(value)) for label, value in about),
        tuple(words),
        tuple(figures),
        tuple(tables),
        dict(files or {}),
        f"tedm {version('tedm')}",
        folder,
    )
    missing = sorted(set(result.named) - set(content))
    if missing or any(_is_outside(name) for name in content):
        raise ValueError(f"a result names {missing} without their content, or a file that is not in its folder")
    about_it = {key: value for key, value in asdict(result).items() if key != "path"}
    with new_folder(folder, what="the result", remedy="name another place") as aside:
        for name, inside in content.items():
            (aside / name).write_bytes(inside.encode("utf-8", NAMES) if isinstance(inside, str) else inside)
        text = json.dumps({"format": FORMAT, **about_it}, indent=1, ensure_ascii=False)
        (aside / DESCRIPTION).write_text(text + "\n", encoding="utf-8", errors=NAMES)
    return result


def read_result(folder: Path) -> ResultFolder:
    """Read what `write_result` wrote, and look whether every file that it names is there.

    Raises
    ------
    TedmError
        If there is no result, or it is damaged, or from a newer tedm.
    """
    folder = Path(folder)
    path = folder / DESCRIPTION
    if not path.is_file():
        what = (
            f"is no result of an evaluation, a probe or a study (it has no {DESCRIPTION})"
            if folder.exists()
            else "does not exist"
        )
        raise TedmError(f"{folder} {what}; make one with {' or '.join(MAKERS.values())}")
    try:
        about: dict[str, Any] = plain_json(bytes_of(path, most=MOST_JSON).decode("utf-8", NAMES))
        if about["format"] != FORMAT or about["kind"] not in get_args(Kind):
            raise TedmError(f"the result {folder} is of a kind that this version of tedm does not know; install a newer tedm")
        result = ResultFolder(
            kind=about["kind"],
            title=_text(about["title"]),
            about=tuple((_text(label), _text(value)) for label, value in about["about"]),
            words=tuple(map(_text, about["words"])),
            figures=tuple(ResultFigure(**_texts(figure)) for figure in about["figures"]),
            tables=tuple(ResultTable(**_texts(table)) for table in about["tables"]),
            files=_texts(about.get("files", {})),
            made_by=_text(about["made_by"]),
            path=folder,
        )
    except TedmError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        cause = f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise TedmError(f"{path} is damaged ({cause}); write the folder again with the command that made it") from error
    outside = [name for name in result.named if _is_outside(name)]
    if outside:
        raise TedmError(f"{path} names {outside[0]!r}, which is no file in its folder; {_again(result.kind)}")
    # a link in a folder from elsewhere could show a file of this machine to whoever gets the report
    linked = [name for name in result.named if (folder / name).resolve().parent != folder.resolve()]
    if linked:
        raise TedmError(f"{folder / linked[0]} is a link out of its folder; put the file itself there")
    gone = [f"{name} is not there" for name in result.named if not (folder / name).is_file()]
    raise_listed(f"the result {folder} is not whole; {_again(result.kind)}", gone)
    return result


def _is_outside(name: str) -> bool:
    """A name that leads elsewhere, or that is taken."""
    return Path(name).name != name or "\\" in name or name.startswith(".") or name in ("", DESCRIPTION)


def _again(kind: str) -> str:
    return f"write it again with {MAKERS[kind]}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} should be text")
    return value


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: _text(value) for key, value in values.items()}
