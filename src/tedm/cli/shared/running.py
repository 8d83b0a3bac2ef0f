"""How every command runs: one line for a mistake, exit codes, progress.

Exit codes: 0 done, 1 failed with a message, 2 wrong usage, 129 terminal closed, 130 Ctrl-C, 143 SIGTERM. Results go to stdout,
all else to stderr. A result that cannot be printed is a failure; a remark that cannot be written is not.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn, ParamSpec, TextIO, TypeVar

import click

from tedm.cli.shared.commands import name_of
from tedm.cli.shared.common import COMMON, TYPED, Asked, common_options
from tedm.cli.shared.places import straighten
from tedm.cli.shared.voice import Remarks, plainly, progress, say, speaking, stop
from tedm.errors import TedmError

__all__ = ["AGAIN", "GOES_ON", "Command", "Remarks", "command_line", "plain_errors", "printed_or_said", "progress", "say"]

P = ParamSpec("P")
T = TypeVar("T")

# What a command does when it is run again after an interruption; the others begin anew.
GOES_ON = ", run the same command again to go on"
AGAIN = {
    "run": GOES_ON,
    "extract": GOES_ON,
    "fit": GOES_ON,
    "probe": GOES_ON,
    "study": GOES_ON,
    "pretrain": ", run the same command again with --resume to go on",
    "predict": GOES_ON,
    "demo": "; to begin again, name another OUT_FOLDER or delete this one",
}

# Collections of the middle generation to each that searches all objects; Python's own number is ten.
SELDOM = 1000

# Where values are from that somebody asked for: --config is as good as typed.
ASKED = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)


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
            stop(str(error), 1)
        except KeyboardInterrupt:
            stop(f"interrupted; what was finished is safe{_again()}", 130)
        except BrokenPipeError:
            _forget(sys.stdout)  # whoever read our output has stopped reading; nothing to say
            raise SystemExit(1) from None
        except MemoryError:
            stop("out of memory; what was finished is safe. Ask for less at once: a smaller batch, fewer images", 1)
        except OSError as error:
            if any(frame.name == "echo" for frame in traceback.extract_tb(error.__traceback__)):  # nothing else prints results
                _not_printed(error)
            where = f"{error.filename}: " if error.filename else ""
            stop(f"{where}{error.strerror or error}", 1)
        finally:
            if _fails(sys.stderr):
                _forget(sys.stderr)

    return run


def printed_or_said(main: Callable[P, T]) -> Callable[P, T]:
    """End in one line where standard output is full or lost while a command line is read: that prints help and version."""

    @functools.wraps(main)
    def run(*args: P.args, **options: P.kwargs) -> T:
        try:
            return main(*args, **options)
        except OSError as error:
            _not_printed(error)

    return run


class Command(click.Command):
    """A command with the options that all have, and one line for what goes wrong before it runs.

    Its help and version, which are printed before it runs, end in one line too where they cannot be printed.
    """

    main = printed_or_said(click.Command.main)  # type: ignore[assignment]  # it has two signatures

    def __init__(self, *args: object, **attributes: object) -> None:
        super().__init__(*args, **attributes)  # type: ignore[arg-type]  # click knows them
        self.params += common_options()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; what was typed is kept as it is for `--save-config`."""
        ctx.meta[TYPED] = self.make_parser(ctx).parse_args(list(args))[0]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options of the command, and behind them those of every command."""
        records: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                records[param.name in COMMON].append(record)
        for common, title in ((False, "Options"), (True, "Options of every command")):
            with formatter.section(title):
                formatter.write_dl(records[common])

    def invoke(self, ctx: click.Context) -> object:
        """Run it, as loud as was asked for."""
        asked = Asked.of(ctx)
        with plainly():
            straighten(name_of(self), ctx.params)
            asked.save_for(self)
        with contextlib.ExitStack() as stack:
            stack.enter_context(_imports_stay())
            with plainly():
                stack.enter_context(speaking(name_of(self), quiet=asked.quiet, verbose=asked.verbose, log=asked.log))
            asked.tell(ctx)
            return super().invoke(ctx)


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
        if param.name in COMMON or context.get_parameter_source(param.name or "") not in ASKED:
            continue
        if isinstance(param, click.Argument):
            parts += map(str, value) if isinstance(value, tuple) and param.nargs != 1 else [str(value)]
        elif getattr(param, "is_flag", False):
            parts += [param.opts[-1]] * bool(value)
        else:
            parts += [param.opts[0], ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return shlex.join(parts)


@contextlib.contextmanager
def _imports_stay() -> Iterator[None]:
    """Search what has lived long for garbage seldom, and not at all when the process ends.

    An import of torch makes half a million objects that stay until the end; searching them again and again took a third of the
    processor's time of a small command. What is young is searched as often as ever, so that no array waits longer for its end.
    """
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, max(old, SELDOM))
    atexit.unregister(gc.freeze)  # of a command that this process has run before
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.set_threshold(young, middle, old)


def _end_in_order() -> None:
    """Let SIGTERM, and the end of the terminal where that is not ignored (nohup, disown), leave through `finally`."""
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _terminated)
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            signal.signal(signal.SIGHUP, _terminated)


def _terminated(number: int, _: object) -> NoReturn:
    what = "terminated" if number == signal.SIGTERM else "the terminal was closed"
    stop(f"{what}; what was finished is safe{_again()}", 128 + number)


def _again() -> str:
    """Return the advice for after an interruption, by what the command under way does when it is run again."""
    context = click.get_current_context(silent=True)
    return "" if context is None else AGAIN.get(name_of(context.command), "")


def _not_printed(error: OSError) -> NoReturn:
    """End with the truth: standard output is full, or its terminal is lost."""
    _forget(sys.stdout)
    why = error.strerror or error
    stop(f"the results could not be printed to standard output: {why}; what was written to files is whole", 1)


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


_occupy()  # before anything else is opened
