"""Functions of many keyword arguments that say which one is unknown, and which was meant.

Python's own message names the unknown word among dozens of known ones and leaves the search to the reader.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from tedm.errors import TedmError

P = ParamSpec("P")
R = TypeVar("R")


def plain_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse an unknown keyword with a `TedmError` that says what was meant, before anything is done.

    Examples
    --------
    >>> def method(iterations: int) -> None: ...
    >>> plain_keywords(method)(itertions=3)
    Traceback (most recent call last):
    tedm.errors.TedmError: method() knows no 'itertions'; did you mean iterations?
    """
    known = list(signature(function).parameters)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                raise TedmError(f"{function.__name__}() knows no {name!r}; {meant(name, known)}")
        return function(*args, **kwargs)

    return call


def meant(word: str, known: list[str]) -> str:
    """Return a clause on what may have been meant by a word: the one that is nearest, or all.

    Examples
    --------
    >>> meant("itertions", ["iterations", "seed"]), meant("x", ["iterations", "seed"])
    ('did you mean iterations?', 'it knows iterations, seed')
    """
    close = get_close_matches(word, known, 1)
    return f"did you mean {close[0]}?" if close else f"it knows {', '.join(known)}"
