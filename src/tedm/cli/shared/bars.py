"""A line of progress on a terminal: what goes on, how many of how many, the time left, and more where there is room."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tedm.text import duration, shown

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

SHORTEST, LONGEST = 6, 30  # columns of a bar that still says something, and beyond which it says no more


def done_of(done: int, total: int) -> str:
    """Write how many of how many are done, and the percentage of these.

    Examples
    --------
    >>> done_of(1, 4), done_of(0, 0)
    ('1 of 4 (25 %)', '0 of 0 (0 %)')
    """
    return f"{done} of {total} ({100 * done // max(total, 1)} %)"


def progress_line(what: str, done: int, total: int | None, left: float | None, remark: str, width: int) -> str:
    """Lay out progress in a line that is never longer than the terminal is wide.

    Parameters
    ----------
    what : str
        What goes on, a word or two; cut only where the numbers alone leave no room for it.
    done : int
    total : int or None
        None where it is not known yet.
    left : float or None
        Seconds; None where they are not known yet.
    remark : str
        A sentence on it; shown as far as there is room after the above. What it says of the time left is left out.
    width : int
        Columns.

    Examples
    --------
    >>> progress_line("fitting", 500, 2000, 42.0, "loss 0.1234", 60)
    'fitting  500 of 2000 (25 %)  42 s left  ━──────  loss 0.1234'
    >>> progress_line("fitting", 500, 2000, 42.0, "loss 0.1234", 40)
    'fitting  500 of 2000 (25 %)  42 s left'
    """
    what, remark = shown(what), shown(remark)
    if total is None:
        return _cut(what, width)
    numbers = "  ".join([done_of(done, total), *([] if left is None else [f"{duration(left)} left"])])
    line = "  ".join(part for part in (_cut(what, max(width - len(numbers) - 2, 0)), numbers) if part)
    remark = ", ".join(clause for clause in remark.split(", ") if not clause.endswith(" left"))
    room = width - len(line) - 2
    remark = _cut(remark, room) if room >= SHORTEST else ""
    bar = min(room - (len(remark) + 2 if remark else 0), LONGEST)
    filled = bar * done // max(total, 1)
    drawn = "━" * filled + "─" * (bar - filled) if bar >= SHORTEST else ""
    return "  ".join(part for part in (line, drawn, remark) if part)[:width]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"[:width]


def bars(console: Console) -> Progress:
    """Return a display of rich whose tasks are such lines; the remark of a task is its field `remark`."""
    from rich.progress import Progress, Task
    from rich.text import Text

    class Lines(Progress):
        """Lines of progress in place of a table, whose columns rich would squeeze until nothing can be read."""

        def get_renderables(self) -> Iterable[RenderableType]:
            """Yield a line for each task."""
            for task in self.tasks:
                yield Text(self._line(task), no_wrap=True, overflow="crop")

        def _line(self, task: Task) -> str:
            total = None if task.total is None else round(task.total)
            remark = str(task.fields.get("remark", ""))
            return progress_line(
                task.description, round(task.completed), total, task.time_remaining, remark, self.console.width - 1
            )

    return Lines(console=console, transient=True)
