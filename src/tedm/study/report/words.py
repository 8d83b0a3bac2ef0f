"""How domains and numbers are written in a report."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isnan

EMPTY = "–"


def named(domain: str) -> str:
    """Return a domain's name, or that it has none."""
    return domain or "(no domain)"


def number(value: float) -> str:
    """Write a number with one digit after the point; a dash where there is none."""
    return EMPTY if isnan(value) else f"{value:.1f}"


def rounded(text: str) -> str:
    """Write a number that has too many digits to be read with four; everything else as it is.

    Examples
    --------
    >>> rounded("0.123456"), rounded("12345"), rounded("tedm"), rounded("nan")
    ('0.1235', '12345', 'tedm', '–')
    """
    try:
        value = float(text)
    except ValueError:
        return text
    if isnan(value):
        return EMPTY
    return f"{value:.4g}" if isfinite(value) and len(text.lstrip("-").replace(".", "")) > 4 and not text.isdecimal() else text


def together(words: Sequence[object], *, most: int = 8, link: str = "and") -> str:
    """Write values as a sentence has them; of more than `most`, the last stands for the rest.

    Examples
    --------
    >>> together(["a", "b", "c"]), together([1, 3], link="or"), together("abcde", most=3)
    ('a, b and c', '1 or 3', 'a, b and 3 others')
    """
    told = [str(word) for word in words]
    if len(told) > most:
        told = [*told[: most - 1], f"{len(told) - most + 1} others"]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} {link} {told[-1]}" if told else ""
