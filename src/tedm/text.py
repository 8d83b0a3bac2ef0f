"""What a value looks like as text: lists, counts, sizes, times, columns and order, the same in every message and table.

Text from files (names, domains, settings) is shown so that it cannot steer a terminal, a page or a spreadsheet: see `shown` and
`entry`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

# Categories of Unicode that steer what shows them, or show nothing: control, format (changes of direction), lone surrogates,
# line and paragraph separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# What makes a spreadsheet take text for a formula, or cut it. Full-width signs are the same to some of them.
_FORMULA = re.compile("'*[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint at the word that somebody may have meant, whatever its case, to follow a message; empty if none is like it.

    Examples
    --------
    >>> did_you_mean("extrct", ["extract", "fit"]), did_you_mean("banana", ["extract", "fit"])
    (' (did you mean extract?)', '')
    """
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(word.lower(), by_lower, 1)
    return f" (did you mean {by_lower[close[0]]}?)" if close else ""


def shown(text: str, *, lines: bool = False) -> str:
    r"""Write characters that steer a terminal or a page, or that cannot be seen, as escapes.

    Parameters
    ----------
    text : str
    lines : bool
        Whether ends of lines and tabs stay: those of a whole message are its own.

    Examples
    --------
    >>> shown("scan \x1b[31m\u202e 1"), shown("a\nb"), shown("a\nb", lines=True)
    ('scan \\x1b[31m\\u202e 1', 'a\\nb', 'a\nb')
    """
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(
        each.encode("unicode_escape").decode() if each not in kept and unicodedata.category(each) in _UNSEEN else each
        for each in text
    )


def entry(value: object) -> object:
    """Return a value as it stands in a CSV: text that a spreadsheet would take for a formula begins with an apostrophe.

    Text that reads as a number stays as it is.

    Examples
    --------
    >>> [entry(value) for value in ("=1+1", "-scan", "-0.5", "a=b", "'=", -0.5)]
    ["'=1+1", "'-scan", '-0.5', 'a=b', "''=", -0.5]
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) and not _is_number(value) else value


def from_entry(text: str) -> str:
    """Return the inverse of `entry`, for text.

    Examples
    --------
    >>> [from_entry(text) for text in ("'=1+1", "''=", "-0.5", "'s")]
    ['=1+1', "'=", '-0.5', "'s"]
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", text, re.ASCII) is not None


def listed(values: Iterable[object], *, most: int | None = None) -> str:
    """Write values with commas between.

    Parameters
    ----------
    values : iterable
    most : int or None
        How many are written; of more, "..." stands for the rest.

    Examples
    --------
    >>> listed((1, 10, 25)), listed("abc", most=2)
    ('1, 10, 25', 'a, b, ...')
    """
    words = [shown(str(value)) for value in values]
    return ", ".join(words if most is None or len(words) <= most else [*words[:most], "..."])


def counted(number: int, noun: str) -> str:
    """Write a number of things in English.

    Examples
    --------
    >>> counted(1, "image"), counted(2, "image")
    ('1 image', '2 images')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def called(value: int, name: str = "") -> str:
    """Write a class as people know it: by its name, by its value in masks where it has none.

    Examples
    --------
    >>> called(17, "left hippocampus"), called(255)
    ('left hippocampus', 'class 255')
    """
    return name or f"class {value}"


def gigabytes(nbytes: float) -> str:
    """Write a number of bytes in powers of ten, as on a disk's label.

    Examples
    --------
    >>> gigabytes(3.21e9), gigabytes(2e7)
    ('3.21 GB', '0.02 GB')
    """
    return f"{nbytes / 1e9:.3g} GB"


def size(nbytes: float) -> str:
    """Write a number of bytes in the unit that suits it.

    Examples
    --------
    >>> size(3.21e9), size(2e7)
    ('3.21 GB', '20 MB')
    """
    return gigabytes(nbytes) if nbytes >= 1e9 else f"{nbytes / 1e6:.3g} MB"


def duration(seconds: float) -> str:
    """Write a time in the two units that matter.

    Examples
    --------
    >>> duration(42), duration(61), duration(7300), duration(200000)
    ('42 s', '1 min 1 s', '2 h 1 min', '2 d 7 h')
    """
    whole = round(seconds)
    for unit, length, below, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length} {unit} {whole % length // part} {below}"
    return f"{whole} s"


def columns(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Lay out rows as lines of aligned columns, two spaces between them.

    Parameters
    ----------
    rows : sequence of sequences of str
        As many entries in each.
    left : int
        How many columns, from the first, stand to the left of their room; the others stand to the right.

    Examples
    --------
    >>> columns([["a", "10"], ["bc", "1"]])
    ['a   10', 'bc   1']
    """
    rows = [[shown(entry) for entry in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            entry.ljust(width) if at < left else entry.rjust(width)
            for at, (entry, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def table_of_numbers(values: Iterable[Iterable[float]], rows: Sequence[str], titles: Sequence[str]) -> str:
    """Lay out numbers of two digits with the names of their rows and columns.

    Parameters
    ----------
    values : iterable of iterables of float
        Row by row.
    rows, titles : sequence of str
        The names of the rows and of the columns.

    Examples
    --------
    >>> print(table_of_numbers([[1.0, 0.5]], ["t = 1"], ["t = 1", "t = 50"]))
           t = 1  t = 50
    t = 1   1.00    0.50
    """
    lines = [[name, *(f"{value:.2f}" for value in line)] for name, line in zip(rows, values, strict=True)]
    return "\n".join(columns([["", *titles], *lines]))


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts texts by the numbers in them, so that timestep:2 comes before timestep:10.

    Examples
    --------
    >>> sorted(["t10", "t2"], key=natural)
    ['t2', 't10']
    """
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
