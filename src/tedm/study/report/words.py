"""How domains and numbers are written in a report."""

from __future__ import annotations

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
