"""Acceptance: all that only a GPU can show, in at most eight minutes, without a package index, in one table.

    make gpu                                   # or
    python benchmarks/gpu.py OUT [--device auto|cuda|cpu] [--minutes 8] [--only WORD ...] [--shared FOLDER]

Needs Python, torch and tedm with what its extraction and its MLP import (`benchmarks/gpu_wheels.py` packs that); no XGBoost,
and no data: backbones have random weights, or those of SHARED/checkpoints/nih64.pt where that is. `--device cpu` goes the
same way in a small form, and says of what needs CUDA "skipped: no CUDA". A check that fails does not keep the others from
being made; the exit status is then 1. OUT/gpu.md is the table, written anew after each check, so that a run that is cut off
leaves what it had.
"""

from __future__ import annotations

import argparse
import platform
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEAST = 15.0  # seconds: with less no further check is begun


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Parameters
    ----------
    check, result, figure : str
        "passed", "FAILED", "measured" or "skipped".
    seconds : float
    """

    check: str
    result: str
    figure: str
    seconds: float


def main() -> None:
    """Run the checks in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", choices=["auto", "cuda", "cpu"], default="auto")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="checks whose name has one of these words")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    try:
        import torch
        from gpu_checks import CHECKS, Failed, Machine, Skipped
    except ImportError as error:
        sys.exit(
            f"this machine lacks {error.name or error}: pack it elsewhere with python benchmarks/gpu_wheels.py "
            f"--python {platform.python_version().rpartition('.')[0]} and bring the folder along (gpu_wheels.py --help)"
        )
    asked.out.mkdir(parents=True, exist_ok=True)
    device = asked.device if asked.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit(f"torch {torch.__version__} sees no CUDA device; --device cpu goes the same way in a small form")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=asked.out, prefix="scratch-") as scratch:
        machine = Machine(device, Path(scratch), asked.shared)
        for check, work in CHECKS.items():
            if asked.only and not any(word in check for word in asked.only):
                continue
            rows.append(_row(check, lambda work=work: work(machine), until, Failed, Skipped))
            _write(asked.out / "gpu.md", machine.described, rows)
            print(_line(rows[-1]), flush=True)
    print("\n" + (asked.out / "gpu.md").read_text())
    sys.exit(any(row.result == "FAILED" for row in rows))


def _row(check: str, work: Callable[[], str], until: float, failed: type[Exception], skipped: type[Exception]) -> Row:
    """Make one check in the time that is left; whatever it raises becomes its row."""
    since = time.monotonic()
    left = until - since
    if left < LEAST:
        return Row(check, "skipped", "no time is left", 0.0)
    try:
        with _at_most(left):
            figure = work()
        result, figure = ("passed", figure) if not figure.startswith("measured: ") else ("measured", figure[10:])
    except skipped as reason:
        result, figure = "skipped", str(reason)
    except failed as what:
        result, figure = "FAILED", str(what)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        result, figure = "FAILED", f"{type(error).__name__}: {error}"
    return Row(check, result, " ".join(figure.split()), time.monotonic() - since)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise a `TimeoutError` in what takes longer."""

    def stop(*_: object) -> None:
        raise TimeoutError("it took all the time that was left")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _line(row: Row) -> str:
    return f"| {row.check} | {row.result} | {row.figure.replace('|', '/')} | {row.seconds:.1f} |"


def _write(path: Path, described: str, rows: list[Row]) -> None:
    """Write the table whole, or leave the one before."""
    lines = [described, "", "| check | result | figure | seconds |", "|---|---|---|--:|", *map(_line, rows), ""]
    aside = path.with_suffix(".partial")
    aside.write_text("\n".join(lines))
    aside.replace(path)


if __name__ == "__main__":
    main()
