"""How every command runs: one line for a mistake, exit codes, progress.

Exit codes: 0 done, 1 failed with a message, 2 wrong usage, 129 terminal closed, 130 Ctrl-C, 143 SIGTERM. Results go to stdout,
all else to stderr. A result that cannot be printed is a failure; a remark that cannot be written is not.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, NoReturn, ParamSpec, TextIO, TypeVar, cast

import click

from tedm.errors import TedmError
from tedm.text import shown

if TYPE_CHECKING:
    from tedm.study.stages import Progress

P = ParamSpec("P")
T = TypeVar("T")

# What a command does when it is run again after an interruption; the others begin anew.
GOES_ON = ", run the same command again to go on"
AGAIN = {
    "extract": GOES_ON,
    "fit": GOES_ON,
    "probe": GOES_ON,
    "study": GOES_ON,
    "pretrain": ", run the same command again with --resume to go on",
    "predict": GOES_ON,
    "demo": "; to begin again, name another OUT_FOLDER or delete this one",
}


def plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn refusals into one message and an exit code; let only our own defects show a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> None:
        _end_in_order()
        try:
            if sys.stdout is None:
                raise TedmError("standard output is closed: results could not be printed; send them somewhere, >/dev/null say")
            command(*args, **options)
            click.echo(nl=False)  # and no more waits to be printed
        except TedmError as error:
            _stop(str(error), 1)
        except KeyboardInterrupt:
            _stop(f"interrupted; what was finished is safe{_again()}", 130)
        except BrokenPipeError:
            _forget(sys.stdout)  # whoever read our output has stopped reading; nothing to say
            raise SystemExit(1) from None
        except MemoryError:
            _stop("out of memory; what was finished is safe. Ask for less at once: a smaller batch, fewer images", 1)
        except OSError as error:
            if any(frame.name == "echo" for frame in traceback.extract_tb(error.__traceback__)):  # nothing else prints results
                _not_printed(error)
            where = f"{error.filename}: " if error.filename else ""
            _stop(f"{where}{error.strerror or error}", 1)
        finally:
            if _fails(sys.stderr):
                _forget(sys.stderr)

    return run


def _printed_or_said(main: Callable[P, T]) -> Callable[P, T]:
    """End in one line where standard output is full or lost while a command line is read: that prints help and version."""

    @functools.wraps(main)
    def run(*args: P.args, **options: P.kwargs) -> T:
        try:
            return main(*args, **options)
        except OSError as error:
            _not_printed(error)

    return run


class Command(click.Command):
    """A command whose help and version, which are printed before it runs, end in one line too where they cannot be printed."""

    main = _printed_or_said(click.Command.main)  # type: ignore[assignment]  # it has two signatures


class Remarks(io.TextIOBase):
    """Standard error for what must not end the work: text that cannot be written, on a lost terminal say, is lost."""

    encoding = "utf-8"

    def write(self, text: str, /) -> int:
        """Write as much as can be written."""
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # gone or full, closed, interrupted while it writes
            sys.stderr.write(text)
            sys.stderr.flush()
        return len(text)

    def isatty(self) -> bool:
        """Whether somebody looks on, as far as that can be told."""
        with contextlib.suppress(OSError, ValueError):
            return sys.stderr.isatty()
        return False


def say(text: str) -> None:
    """Write a remark to stderr, in which nothing from a file can steer the terminal; one that cannot be written is lost."""
    Remarks().write(f"{shown(text, lines=True)}\n")


def command_line(command: str) -> str:
    """Return the command under way as it was typed, for the provenance of what it makes.

    Parameters
    ----------
    command : str
        Its name, "tedm-evaluate" say: whoever called it may have called it otherwise.
    """
    context = click.get_current_context()
    parts = [command]
    for param in context.command.params:
        value = context.params.get(param.name or "")
        if context.get_parameter_source(param.name or "") is not click.core.ParameterSource.COMMANDLINE:
            continue
        if isinstance(param, click.Argument):
            parts += map(str, value) if isinstance(value, tuple) and param.nargs != 1 else [str(value)]
        elif getattr(param, "is_flag", False):
            parts += [param.opts[-1]] * bool(value)
        else:
            parts += [param.opts[0], ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return shlex.join(parts)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Show a bar on a terminal, a line for each tenth in a log.

    Yields
    ------
    callable (done, all, remark=None)
        The remark is a sentence, or the loss.
    """
    if not Remarks().isatty():
        yield _Lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=cast(IO[str], Remarks())), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int, remark: float | str | None = None) -> None:
            text = _text(remark)
            bar.update(task, completed=done, total=total, description=f"{what} ({text})" if text else what)

        yield show


class _Lines:
    """Write progress for people who read it later."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._tenths = 0

    def __call__(self, done: int, total: int, remark: float | str | None = None) -> None:
        tenths = 10 * done // max(total, 1)
        if tenths > self._tenths:
            self._tenths = tenths
            text = _text(remark)
            say(f"{self._what}: {done} of {total} ({100 * done // max(total, 1)} %)" + (f", {text}" if text else ""))


def _text(remark: float | str | None) -> str:
    if remark is None or remark != remark:  # NaN: there is no loss yet
        return ""
    return remark if isinstance(remark, str) else f"loss {remark:.4f}"


def _end_in_order() -> None:
    """Let SIGTERM, and the end of the terminal where that is not ignored (nohup, disown), leave through `finally`."""
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _terminated)
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            signal.signal(signal.SIGHUP, _terminated)


def _terminated(number: int, _: object) -> NoReturn:
    say(f"{'terminated' if number == signal.SIGTERM else 'the terminal was closed'}; what was finished is safe{_again()}")
    raise SystemExit(128 + number)


def _again() -> str:
    """Return the advice for after an interruption, by what the command under way does when it is run again."""
    context = click.get_current_context(silent=True)
    module = "" if context is None else getattr(context.command.callback, "__module__", "")
    return AGAIN.get(module.rpartition(".")[2], "")


def _not_printed(error: OSError) -> NoReturn:
    """End with the truth: standard output is full, or its terminal is lost."""
    _forget(sys.stdout)
    why = error.strerror or error
    _stop(f"the results could not be printed to standard output: {why}; what was written to files is whole", 1)


def _fails(stream: TextIO | None) -> bool:
    """Whether something is left that a stream could not write."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        return True
    return False


def _forget(stream: TextIO) -> None:
    """Throw away what a stream could not write: Python would try again at its end, and end with a code of its own."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _occupy() -> None:
    """Open what is closed of standard input, output and error, or the next file, the user's data, would be opened as it.

    Python has None for the latter two then; remarks go nowhere, while results that could not be printed are refused.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _stop(message: str, code: int) -> NoReturn:
    say(f"tedm: {message}")
    raise SystemExit(code)


_occupy()  # before anything else is opened
