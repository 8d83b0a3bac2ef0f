"""The log: whole lines of JSON, appended, in nothing but a log."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tedm.cli.shared.log_file import LogFile
from tedm.errors import TedmError


def test_lines_are_appended_and_whole_whatever_was_left_there(tmp_path):
    for message in ("first", "two\nlines \u202e"):
        log = LogFile(tmp_path / "log", "fit")
        assert log.write("info", message) is None
        log.close()
    with (tmp_path / "log").open("a") as file:
        file.write('{"time": "cut')
    log = LogFile(tmp_path / "log", "fit")
    log.write("error", "ended", status=1, seconds=0.5)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(lines[at])["message"] for at in (0, 1, 3)] == ["first", "two\nlines \u202e", "ended"]
    assert json.loads(lines[3]).items() >= {"command": "fit", "level": "error", "status": 1, "seconds": 0.5}.items()
    assert json.loads(lines[3])["time"][10] == "T"


@pytest.mark.parametrize("content", ["image,mask\n", '{"a": 1}\n', "[1]\n", "\x00\x01"])
def test_a_file_that_is_no_log_is_refused_and_stays(tmp_path, content):
    (tmp_path / "manifest.csv").write_text(content)
    with pytest.raises(TedmError, match="is there and is no log of tedm; name another file with --log"):
        LogFile(tmp_path / "manifest.csv", "fit")
    assert (tmp_path / "manifest.csv").read_text() == content


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    for place in (tmp_path, tmp_path / "absent" / "log"):
        with pytest.raises(TedmError, match="cannot write the log"):
            LogFile(place, "fit")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_log_without_room_says_so_once():
    log = LogFile(Path("/dev/full"), "fit")
    assert log.write("info", "a") == os.strerror(28)
    assert log.write("info", "b") is None
