"""What a value looks like as text: lists, counts, sizes, times and columns, the same in every message and table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


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
    words = [str(value) for value in values]
    return ", ".join(words if most is None or len(words) <= most else [*words[:most], "..."])


def counted(number: int, noun: str) -> str:
    """Write a number of things in English.

    Examples
    --------
    >>> counted(1, "image"), counted(2, "image")
    ('1 image', '2 images')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            entry.ljust(width) if at < left else entry.rjust(width)
            for at, (entry, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
