"""What the settings of several kinds of heads must be."""

from __future__ import annotations

from math import isfinite

from tedm.errors import TedmError


def require_rate(learning_rate: float) -> None:
    """Refuse a learning rate that is no finite number above 0.

    Examples
    --------
    >>> require_rate(1e-3)
    """
    if not (learning_rate > 0 and isfinite(learning_rate)):
        raise TedmError(f"the learning rate is {learning_rate}; it must be above 0, and finite")
