"""Remarks and progress: as loud as was asked for, and all of it in the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest

from tedm.cli.shared.voice import plainly, progress, say, say_more, speaking
from tedm.errors import TedmError


def work() -> None:
    say("reading")
    say_more("reading /a")
    say("note: odd")
    with progress("working") as show:
        show(1, 4, 0.5)


@pytest.mark.parametrize(
    ("quiet", "verbose", "said"),
    [
        (True, False, ["note: odd"]),
        (False, False, ["reading", "note: odd", "working: 1 of 4 (25 %), loss 0.5000"]),
        (
            False,
            True,
            [
                "reading",
                "reading /a",
                "note: odd",
                "working: 1 of 4 (25 %), loss 0.5000",
                "working took 0 s",
                "took 0 s",
            ],
        ),
    ],
)
def test_it_is_as_loud_as_was_asked_for(capsys, quiet, verbose, said):
    with speaking("fit", quiet=quiet, verbose=verbose, log=None):
        work()
    assert capsys.readouterr().err.splitlines() == said
    say("after")
    assert capsys.readouterr().err == "after\n"


def test_a_log_hears_what_a_quiet_command_does_not_say_and_how_it_ended(tmp_path, capsys):
    with speaking("fit", quiet=True, verbose=False, log=tmp_path / "log"):
        work()
    assert capsys.readouterr().err == "note: odd\n"
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("info", "reading"),
        ("warning", "note: odd"),
        ("info", "working: 1 of 4 (25 %), loss 0.5000"),
        ("info", "ended"),
    ]
    assert lines[-1]["status"] == 0
    assert lines[-1]["seconds"] >= 0


@pytest.mark.parametrize(
    ("error", "status"), [(SystemExit(143), 143), (SystemExit(), 0), (click.UsageError("so not"), 2), (ValueError("defect"), 1)]
)
def test_the_last_line_of_a_log_is_how_it_ended(tmp_path, error, status):
    with pytest.raises(type(error)), speaking("fit", quiet=False, verbose=False, log=tmp_path / "log"):
        raise error
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert lines[-1]["status"] == status
    assert (len(lines) == 2) == (status == 2)  # what was wrong with the usage


def test_what_is_refused_before_a_command_runs_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended, plainly():
        raise TedmError("no such thing")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "tedm: no such thing\n"


SCRIPT = """
from tedm.cli.shared.voice import progress, say
with progress("fitting and scoring") as show:
    show(1, 4, "tedm, members 10, n = 12, seed 3: 40 %")
    say("a remark")
    show(2, 4, "tedm, members 10, n = 12, seed 3: 40 %")
"""


@pytest.mark.parametrize("columns", [60, 80])
def test_a_terminal_of_these_columns_shows_how_many_of_how_many(columns, tmp_path):
    """On a pseudo-terminal; remarks stand above the line of progress."""
    import pty

    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "24", "TERM": "xterm"}
    master, slave = pty.openpty()
    call = subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment, stderr=slave, stdin=subprocess.DEVNULL)
    os.close(slave)
    said = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # its end on Linux
            break
        if not part:
            break
        said += part
    os.close(master)
    assert call.wait(timeout=60) == 0
    assert b"fitting and scoring  2 of 4 (50 %)" in said
    assert b"a remark" in said
