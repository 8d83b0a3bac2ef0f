"""How every command runs: one line for a mistake, exit codes, progress.

Exit codes: 0 done, 1 failed with a message, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM. Results go to stdout, all else to stderr.
"""

from __future__ import annotations

import contextlib
import functools
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NoReturn, ParamSpec

import click

from tedm.errors import TedmError
from tedm.text import shown

if TYPE_CHECKING:
    from tedm.study.stages import Progress

P = ParamSpec("P")


def plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn refusals into one message and an exit code; let only our own defects show a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> None:
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, _terminated)
        try:
            command(*args, **options)
        except TedmError as error:
            _stop(str(error), 1)
        except KeyboardInterrupt:
            _stop("interrupted; what was finished is safe, run the same command again to go on", 130)
        except BrokenPipeError:
            sys.stderr.close()  # whoever read our output has stopped reading; nothing to say
            raise SystemExit(1) from None
        except MemoryError:
            _stop("out of memory; what was finished is safe. Ask for less at once: a smaller batch, fewer images", 1)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            _stop(f"{where}{error.strerror or error}", 1)

    return run


def say(text: str) -> None:
    """Write a remark to stderr, in which nothing from a file can steer the terminal."""
    click.echo(shown(text, lines=True), err=True)


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
    if not sys.stderr.isatty():
        yield _Lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
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
            say(f"{self._what}: {done} of {total} ({10 * tenths} %)" + (f", {text}" if text else ""))


def _text(remark: float | str | None) -> str:
    if remark is None or remark != remark:  # NaN: there is no loss yet
        return ""
    return remark if isinstance(remark, str) else f"loss {remark:.4f}"


def _terminated(*_: object) -> NoReturn:
    say("terminated; what was finished is safe, run the same command again to go on")
    raise SystemExit(143)


def _stop(message: str, code: int) -> NoReturn:
    say(f"tedm: {message}")
    raise SystemExit(code)
