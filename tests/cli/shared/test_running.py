"""What commands share."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tedm.cli.shared import options
from tedm.cli.shared.running import AGAIN, Command, command_line, say


@click.command()
@click.argument("heads", nargs=-1, type=options.PATH)
@click.option("--timesteps", type=options.IntegerList())
@click.option("--split", default="test")
@click.option("--quick", is_flag=True)
@click.option("--out", "path", type=options.PATH)
def main(**_: object) -> None:
    click.echo(command_line("tedm-some"))


def test_a_command_line_is_what_was_typed_without_defaults() -> None:
    typed = ["my head", "b", "--timesteps", "1,50", "--quick", "--out", "it's"]
    printed = CliRunner().invoke(main, typed).output
    assert shlex.split(printed) == ["tedm-some", *typed]
    assert CliRunner().invoke(main, []).output.strip() == "tedm-some"


def test_a_command_searches_its_imports_for_garbage_seldom_and_leaves_python_as_it_was() -> None:
    before, within = gc.get_threshold(), []
    CliRunner().invoke(Command("some", callback=lambda **_: within.append(gc.get_threshold())), [], catch_exceptions=False)
    assert within == [(*before[:2], 1000)]
    assert gc.get_threshold() == before


def test_what_a_command_imported_is_not_searched_when_its_process_ends() -> None:
    code = """import atexit, gc
from tedm.cli.shared.running import Command
atexit.register(lambda: print(gc.get_freeze_count() > 1000))  # runs after what is registered later
Command("some", callback=lambda **_: None).main([])"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"


# A command that shows progress, says something, makes a file, prints a result, and says in a file what it came to.
WORK = """
import os, signal, sys
from pathlib import Path
import click
from tedm.cli.shared.running import plain_errors, progress, say
@click.command()
@click.argument("out", type=Path)
@plain_errors
def main(out):
    with progress("working") as show:
        for done in range(1, 4):
            show(done, 3, 0.5)
    say("a remark " + "x" * 20000)
    if os.environ.get("LOSE"):
        signal.raise_signal(signal.SIGHUP)
    out.write_text("whole")
    click.echo("the result")
try:
    main()
finally:
    Path("code").write_text(str(sys.exc_info()[1].code))
"""


def at_work(folder: Path, ends: str, **environment: str) -> tuple[int, str]:
    """Run the command in a shell with its ends as they are given; its exit code and what it wrote to stderr."""
    (folder / "work.py").write_text(WORK)
    line = f"{shlex.quote(sys.executable)} work.py out {ends}"
    environ = {**os.environ, **environment}
    done = subprocess.run(["sh", "-c", line], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("ends", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_remarks_that_cannot_be_written_do_not_end_the_work(tmp_path, ends):
    assert at_work(tmp_path, ends)[0] == 0
    assert (tmp_path / "out").read_text() == "whole"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_results_that_cannot_be_printed_are_a_failure_that_is_said(tmp_path):
    code, said = at_work(tmp_path, ">/dev/full")
    assert code == 1
    assert "the results could not be printed to standard output: No space left on device; what was written to files is" in said
    (tmp_path / "out").unlink()
    code, said = at_work(tmp_path, ">&-")
    assert code == 1
    assert "standard output is closed" in said
    assert not (tmp_path / "out").exists()  # known before the work
    assert at_work(tmp_path, ">/dev/full 2>/dev/full")[0] == 1


def test_a_terminal_that_goes_away_ends_no_work_that_ignores_it_and_others_in_order(tmp_path):
    """On a pseudo-terminal whose other end is closed, every write is an I/O error."""
    import pty

    (tmp_path / "work.py").write_text(WORK)
    master, slave = pty.openpty()
    call = subprocess.Popen(
        [sys.executable, "work.py", "out"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave
    )
    os.close(slave)
    os.close(master)
    assert call.wait(timeout=60) == 0
    assert (tmp_path / "out").read_text() == "whole"
    code, said = at_work(tmp_path, "", LOSE="1")
    assert (code, (tmp_path / "code").read_text()) == (128 + signal.SIGHUP, str(128 + signal.SIGHUP))
    assert "the terminal was closed; what was finished is safe" in said


def test_a_reader_that_has_seen_enough_is_no_fault(tmp_path):
    code, said = at_work(tmp_path, "| true")
    assert code == 0  # the pipe's last part
    assert (tmp_path / "code").read_text() in ("0", "1")
    assert "Broken" not in said
    assert "Exception" not in said


def test_the_advice_after_an_interruption_is_of_commands_that_exist():
    folder = Path(command_line.__code__.co_filename).parents[1]
    assert set(AGAIN) <= {path.stem for path in folder.glob("*.py")}


def test_a_message_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("image a\x1b[31m\u202e: gone\nsecond line")
    assert capsys.readouterr().err == "image a\\x1b[31m\\u202e: gone\nsecond line\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("asked", ["--help", "--version"])
def test_a_help_that_cannot_be_printed_ends_in_one_line(asked):
    line = f"{shlex.quote(sys.executable)} -m tedm.cli.fit {asked} >/dev/full"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("tedm: the results could not be printed to standard output: ")
    assert done.stderr.count("\n") == 1
