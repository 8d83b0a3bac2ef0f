"""What a command says beside its results: remarks and progress, on stderr and in a log, as loud as was asked for.

A remark that cannot be written ends no work.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, NoReturn, TextIO, cast

import click

from tedm.cli.shared.bars import bars, done_of
from tedm.cli.shared.log_file import LogFile
from tedm.errors import TedmError
from tedm.text import duration, shown

if TYPE_CHECKING:
    from tedm.study.stages import Progress

Level = Literal["info", "warning", "error"]
# How a remark begins that is said to whoever wants to hear of nothing else.
WARNS = ("note: ", "the last bits may differ")
FAILS = "tedm: "


@dataclass
class Voice:
    """How loud a command is, and where else it is heard.

    Parameters
    ----------
    quiet : bool
        Say warnings and errors alone.
    verbose : bool
        Say more: places, times.
    log : LogFile or None
        Hears all that is not left out of verbosity, quiet or not.
    """

    quiet: bool = False
    verbose: bool = False
    log: LogFile | None = None


_voice = Voice()


class Remarks(io.TextIOBase):
    """Standard error for what must not end the work: text that cannot be written, on a lost terminal say, is lost.

    Parameters
    ----------
    stream : text stream or None
        Where to; None is what standard error is at the time of writing.
    """

    encoding = "utf-8"

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        """Write as much as can be written."""
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # gone or full, closed, interrupted while it writes
            stream = self._stream or sys.stderr
            stream.write(text)
            stream.flush()
        return len(text)

    def isatty(self) -> bool:
        """Whether somebody looks on, as far as that can be told."""
        with contextlib.suppress(OSError, ValueError):
            return (self._stream or sys.stderr).isatty()
        return False


def say(text: str, level: Level | None = None) -> None:
    """Write a remark to stderr, in which nothing from a file can steer the terminal; one that cannot be written is lost.

    Parameters
    ----------
    text : str
    level : {"info", "warning", "error"} or None
        None goes by how the text begins: "note: " is a warning, "tedm: " an error.
    """
    if level is None:
        level = "error" if text.startswith(FAILS) else "warning" if text.startswith(WARNS) else "info"
    if level != "info" or not _voice.quiet:
        Remarks().write(f"{shown(text, lines=True)}\n")
    _note(text.removeprefix(FAILS), level)


def say_more(text: str) -> None:
    """Write a remark that only those want who asked for more."""
    if _voice.verbose:
        say(text, "info")


def _note(text: str, level: Level) -> None:
    """Write to the log, if there is one, and say once where that fails."""
    if _voice.log is not None and (why := _voice.log.write(level, text)) is not None:
        Remarks().write(f"note: the log cannot be written any more: {why}; the work goes on without it\n")


def stop(message: str, code: int) -> NoReturn:
    """End a command with one message and an exit code."""
    say(f"{FAILS}{message}")
    raise SystemExit(code)


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """End with one message where something is refused before a command runs."""
    try:
        yield
    except TedmError as error:
        stop(str(error), 1)


@contextlib.contextmanager
def speaking(command: str, *, quiet: bool, verbose: bool, log: Path | None) -> Iterator[None]:
    """Be as loud as was asked for while a command runs, and end its log with how it ended.

    Raises
    ------
    TedmError
        If the log cannot be written.
    """
    global _voice
    before, started = _voice, time.monotonic()
    _voice = Voice(quiet, verbose, None if log is None else LogFile(log, command))
    status = 1
    try:
        yield
        status = 0
    except BaseException as error:
        status = _status(error)
        if isinstance(error, click.ClickException):  # printed by click
            _note(error.format_message(), "error")
        raise
    finally:
        seconds = round(time.monotonic() - started, 3)
        say_more(f"took {duration(seconds)}")
        if _voice.log is not None:
            _voice.log.write("error" if status else "info", "ended", status=status, seconds=seconds)
            _voice.log.close()
        _voice = before


def _status(error: BaseException) -> int:
    """Return the exit code that an exception comes to: SystemExit has one, and those of click."""
    code = getattr(error, "code", getattr(error, "exit_code", 1))
    return code if isinstance(code, int) else 0 if code is None else 1


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Show a line on a terminal, a line for each tenth in a log.

    Yields
    ------
    callable (done, all, remark=None)
        The remark is a sentence, or the loss.
    """
    started = time.monotonic()
    if _voice.quiet or not Remarks().isatty():
        yield _Lines(what)
    else:
        from rich.console import Console

        lines = _Lines(what, aloud=False)
        with bars(Console(file=cast(IO[str], Remarks(sys.stderr)))) as bar:
            task = bar.add_task(what, total=None)

            def show(done: int, total: int, remark: float | str | None = None) -> None:
                bar.update(task, completed=done, total=total, remark=_text(remark))
                lines(done, total, remark)

            yield show
    say_more(f"{what} took {duration(time.monotonic() - started)}")


class _Lines:
    """Write progress for people who read it later.

    Parameters
    ----------
    what : str
    aloud : bool
        On stderr too, or only in the log.
    """

    def __init__(self, what: str, *, aloud: bool = True) -> None:
        self._what = what
        self._tenths = 0
        self._aloud = aloud

    def __call__(self, done: int, total: int, remark: float | str | None = None) -> None:
        tenths = 10 * done // max(total, 1)
        if tenths > self._tenths:
            self._tenths = tenths
            text = _text(remark)
            line = f"{self._what}: {done_of(done, total)}" + (f", {text}" if text else "")
            if self._aloud:
                say(line, "info")
            else:
                _note(line, "info")


def _text(remark: float | str | None) -> str:
    if remark is None or remark != remark:  # NaN: there is no loss yet
        return ""
    return remark if isinstance(remark, str) else f"loss {remark:.4f}"
