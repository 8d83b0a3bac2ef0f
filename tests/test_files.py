"""Files and folders are there whole or not at all, on real disks."""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.errors import TedmError
from tedm.files import make_folder, new_folder, require_new, table_text, write_table, write_whole
from tedm.text import from_entry


def interrupted(folder: Path) -> None:
    with new_folder(folder, what="the head", remedy="try again") as aside:
        (aside / "half").write_text("1")
        raise KeyboardInterrupt


def nothing_in(folder: Path) -> None:
    with new_folder(folder, what="the head", remedy="name another place"):
        pass


def test_a_folder_that_is_not_finished_is_not_there(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "head")
    assert list(tmp_path.iterdir()) == []


def test_a_finished_folder_takes_the_place_of_an_empty_one_and_of_what_a_killed_process_left(tmp_path):
    (tmp_path / "head").mkdir()
    (tmp_path / ".head.partial").mkdir()
    (tmp_path / ".head.partial" / "stale").write_text("0")
    with new_folder(tmp_path / "head", what="the head", remedy="try again") as aside:
        assert list(aside.iterdir()) == []
        (aside / "whole").write_text("1")
    assert [path.name for path in tmp_path.rglob("*")] == ["head", "whole"]


def test_a_place_that_is_taken_is_refused_before_the_block_runs(tmp_path):
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "mine").write_text("1")
    with pytest.raises(TedmError, match=r"head exists and is not empty; name another folder, or delete it"):
        interrupted(tmp_path / "head")  # which would say KeyboardInterrupt
    (tmp_path / "file").write_text("1")
    with pytest.raises(TedmError, match="exists and is not empty"):
        require_new(tmp_path / "file")


def test_what_cannot_be_written_is_said_with_its_place_and_a_remedy(tmp_path):
    (tmp_path / "file").write_text("1")
    inside = tmp_path / "file" / "head"
    with pytest.raises(TedmError, match=r"cannot write the head .*file/head: .*; name another place"):
        nothing_in(inside)
    with pytest.raises(TedmError, match=r"cannot make the folder .*file/head: .*; name another place"):
        make_folder(inside)
    with pytest.raises(TedmError, match=r"cannot write the table .*scores.csv: No such file or directory; make room"):
        write_table(tmp_path / "gone" / "scores.csv", [["a"]], remedy="make room")


@pytest.mark.skipif(not Path("/dev/full").exists() or os.name != "posix", reason="needs a device that is always full")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    (tmp_path / "scores.csv").write_text("old")
    (tmp_path / ".scores.csv.partial").symlink_to("/dev/full")
    with pytest.raises(TedmError, match="No space left on device; make room"):
        write_whole(tmp_path / "scores.csv", b"new", remedy="make room")
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]
    assert (tmp_path / "scores.csv").read_text() == "old"


entries = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"))


@given(st.lists(st.lists(entries, min_size=2, max_size=2), min_size=1))
def test_a_table_is_read_back_as_it_was_written(rows):
    read = list(csv.reader(io.StringIO(table_text(rows), newline="")))
    assert [[from_entry(text) for text in row] for row in read] == rows
    assert not any(re.match(r"[=+@\t\r\n-](?!\d|\.\d|inf|nan)", text) for row in read for text in row)
