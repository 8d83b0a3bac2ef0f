"""How a study tells whoever waits for it where it is: a progress for each of its stages, and remarks in sentences."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias


class Progress(Protocol):
    """What is called while something goes on."""

    def __call__(self, done: int, total: int, remark: float | str | None = None) -> None:
        """Show that `done` of `total` are done; the remark is a sentence, or the loss."""


# Gives the progress of a stage, "evaluating" say, for as long as that goes on.
Stages: TypeAlias = Callable[[str], AbstractContextManager[Progress]]
# Takes a remark, a sentence.
Log: TypeAlias = Callable[[str], None]


@contextlib.contextmanager
def silent(stage: str) -> Iterator[Progress]:
    """Show nothing of a stage."""

    def show(done: int, total: int, remark: float | str | None = None) -> None:
        """Show nothing."""

    yield show


def mute(remark: str) -> None:
    """Take a remark, and say nothing."""
