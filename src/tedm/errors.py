"""The one exception that a command turns into a message.

Everything a user can get wrong, and everything the machine can refuse, is raised as a `TedmError` whose text says what is
wrong, where, and what to do. Any other exception is a defect of ours.
"""

from __future__ import annotations

from collections.abc import Sequence


class TedmError(ValueError):
    """A mistake or a refusal that the user can act on; its text is complete."""


def raise_listed(headline: str, problems: Sequence[str], *, most: int = 20) -> None:
    """Raise one `TedmError` that lists all problems at once; do nothing if there are none.

    Parameters
    ----------
    headline : str
        What could not be done, without a final colon.
    problems : sequence of str
        One line each: where, what, what to do.
    most : int
        Number of lines that are printed; the rest is counted.
    """
    if not problems:
        return
    lines = [f"{headline}:"] + [f"  {problem}" for problem in problems[:most]]
    if len(problems) > most:
        lines.append(f"  and {len(problems) - most} more")
    raise TedmError("\n".join(lines))
