"""A line of progress, at the widths that terminals have."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tedm.cli.shared.bars import bars, done_of, progress_line

LONG = "tedm, members 10, n = 12, seed 3: 40 %"


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("what", ["extracting", "extracting views", "fitting and scoring", "measuring calibration"])
@pytest.mark.parametrize("remark", ["", "loss 0.1234", LONG])
def test_what_how_many_of_how_many_and_the_time_left_are_whole(width, what, remark):
    line = progress_line(what, 1234, 9999, 7300, remark, width)
    assert line.startswith(f"{what}  1234 of 9999 (12 %)  2 h 1 min left")
    assert len(line) <= width


def test_where_there_is_room_a_bar_and_the_remark_follow():
    assert progress_line("fitting", 1, 4, 9.0, "loss 0.5000", 80) == (
        "fitting  1 of 4 (25 %)  9 s left  ━━━━━━━───────────────────────  loss 0.5000"
    )
    assert progress_line("extracting", 1, 4, 9.0, "0.90 images/s, 11 s left, the device waits", 80).endswith(
        "  9 s left  ━━────────  0.90 images/s, the device waits"
    )


@pytest.mark.parametrize("width", [*range(1, 45)])
def test_no_line_is_longer_than_the_terminal_is_wide(width):
    assert len(progress_line("fitting and scoring", 1, 4, 100.0, LONG, width)) <= width
    assert len(progress_line("fitting and scoring", 1, None, None, LONG, width)) <= width


@pytest.mark.parametrize(
    ("done", "total", "text"), [(1, 4, "1 of 4 (25 %)"), (1, 3, "1 of 3 (33 %)"), (4, 4, "4 of 4 (100 %)")]
)
def test_the_percentage_is_of_what_is_done(done, total, text):
    assert done_of(done, total) == text


@pytest.mark.parametrize("width", [60, 80])
def test_a_terminal_shows_that_line(width, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")  # whatever runs the tests may have none
    screen = io.StringIO()
    with bars(Console(width=width, file=screen, force_terminal=True)) as bar:
        task = bar.add_task("fitting and scoring", total=None)
        bar.update(task, completed=1, total=4, remark=LONG)
        bar.refresh()
    assert "fitting and scoring  1 of 4 (25 %)" in screen.getvalue()
    assert ("…" in screen.getvalue()) == (width == 60)  # of the remark
