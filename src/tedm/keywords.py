"""Functions of many keyword arguments that say which one is unknown, and which was meant.

Python's own message names the unknown word among dozens of known ones and leaves the search to the reader.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from tedm.errors import TedmError
from tedm.text import did_you_mean

P = ParamSpec("P")
R = TypeVar("R")


def plain_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse an unknown keyword with a `TedmError` that says what was meant, before anything is done.

    Examples
    --------
    >>> def method(iterations: int) -> None: ...
    >>> plain_keywords(method)(itertions=3)
    Traceback (most recent call last):
    tedm.errors.TedmError: method() knows no 'itertions' (did you mean iterations?)
    """
    known = list(signature(function).parameters)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                hint = did_you_mean(name, known) or f"; it knows {', '.join(known)}"
                raise TedmError(f"{function.__name__}() knows no {name!r}{hint}")
        return function(*args, **kwargs)

    return call
