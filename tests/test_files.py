"""Files and folders are there whole or not at all, on real disks."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.errors import TedmError
from tedm.files import (
    beside,
    digest_of_file,
    discard,
    filled_folder,
    make_folder,
    new_folder,
    require_new,
    require_there,
    require_writable,
    reserved,
    table_text,
    write_table,
    write_whole,
)
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


@pytest.mark.skipif(not Path("/sys/kernel").exists(), reason="needs a place where nobody may write")
def test_room_is_no_remedy_where_nothing_may_be_written():
    with pytest.raises(TedmError, match=r"cannot make the folder /sys/kernel/out: .*; name another place, or allow that"):
        make_folder(Path("/sys/kernel/out"), remedy="make room; what was written before is whole")
    with pytest.raises(TedmError, match=r"cannot make the folder /sys/kernel/out: .*; name another --out$"):
        make_folder(Path("/sys/kernel/out"), remedy="name another --out")


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


def whole(folder: Path) -> None:
    with new_folder(folder, what="the head", remedy="name another folder") as aside:
        (aside / "head.json").write_text("1")


def fill(folder: Path, error: type[BaseException] | None = None, *names: str) -> None:
    with filled_folder(folder) as place:
        for name in names:
            (place / name).write_text("1")
        if error is not None:
            raise error


def test_a_link_is_followed_to_where_it_leads(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "empty").symlink_to("real")
    (tmp_path / "dangling").symlink_to("there")
    (tmp_path / "filled").symlink_to("elsewhere")
    whole(tmp_path / "empty")
    whole(tmp_path / "dangling")
    fill(tmp_path / "filled", None, "a.png")
    (tmp_path / "table").symlink_to("table.csv")
    write_whole(tmp_path / "table", b"1", remedy="make room")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()}
    assert files == {"real/head.json", "there/head.json", "elsewhere/a.png", "table.csv"}
    assert all((tmp_path / link).is_symlink() for link in ("empty", "dangling", "filled", "table"))
    assert beside(tmp_path / "empty", ".fit") == tmp_path / ".real.fit"


@pytest.mark.parametrize("make", [whole, fill])
def test_a_place_that_will_not_do_is_refused_before_the_work(tmp_path, make, monkeypatch):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("1")
    (tmp_path / "link").symlink_to("full")
    (tmp_path / "file").write_text("1")
    before = sorted(tmp_path.rglob("*"))
    for name, why in {
        "loop": "cannot be followed",
        "link": "link exists and is not empty",
        "file": "exists and is not empty",
        "file/in": "Not a directory",
        "full/mine/in": "Not a directory",
    }.items():
        with pytest.raises(TedmError, match=why):
            make(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    if make is whole:
        with pytest.raises(
            TedmError, match=r"\. cannot be replaced by the head: it is the current folder; name a new folder in it"
        ):
            whole(Path())


def test_of_two_runs_at_one_place_the_second_is_refused_and_the_first_goes_on(tmp_path):
    ask = (
        "import sys; from pathlib import Path; from tedm.files import new_folder, filled_folder\n"
        "for make in (new_folder, filled_folder):\n"
        "    how = {} if make is filled_folder else {'what': 'the head'}\n"
        "    try:\n"
        "        with make(Path(sys.argv[1]) / make.__name__, remedy='', **how): print('wrote')\n"
        "    except ValueError as error: print(error)\n"
    )

    def another() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", ask, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.splitlines()

    with reserved(tmp_path / "new_folder", what="the head"), filled_folder(tmp_path / "filled_folder") as place:
        for line in another():
            assert "another run is writing" in line
            assert "wait until it is done, or name another folder" in line
        whole(tmp_path / "new_folder")  # inside its own reservation
        (place / "a.png").write_text("1")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "filled_folder/a.png",
        "new_folder/head.json",
    ]
    assert all("exists and is not empty" in line for line in another())


def test_nothing_is_left_of_a_work_that_failed_but_what_is_finished(tmp_path):
    with pytest.raises(KeyboardInterrupt), reserved(tmp_path / "deep" / "er" / "head", what="the head"):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "deep" / "masks", KeyboardInterrupt)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "deep" / "masks", KeyboardInterrupt, "a.png")
    assert [path.name for path in tmp_path.rglob("*.png")] == ["a.png"]


def test_a_folder_that_vanishes_during_the_work_is_made_again_or_missed(tmp_path):
    with reserved(tmp_path / "results" / "head", what="the head"):
        (tmp_path / "results").rename(tmp_path / "moved")
        whole(tmp_path / "results" / "head")
    assert (tmp_path / "results" / "head" / "head.json").exists()
    fill(tmp_path / "masks", None, "a.png", "b.png")
    (tmp_path / "masks" / "a.png").unlink()
    with pytest.raises(TedmError, match=r"1 of the 2 files that were written to masks are not there any more \(a.png say\)"):
        require_there([tmp_path / "masks" / "a.png", tmp_path / "masks" / "b.png"], Path("masks"))


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    require_writable(None, what="the table")
    require_writable(tmp_path / "table.csv", what="the table")
    require_writable(Path(os.devnull), what="the table")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TedmError, match=r"cannot write the table .*: it is a folder; name another place"):
        require_writable(tmp_path, what="the table")
    with pytest.raises(TedmError, match=r"cannot write the table .*no.t.csv: No such file or directory; name another place"):
        require_writable(tmp_path / "no" / "t.csv", what="the table")


def test_a_device_is_written_to_and_not_replaced():
    before = Path(os.devnull).stat()
    write_whole(Path(os.devnull), b"1", remedy="make room")
    assert Path(os.devnull).stat().st_rdev == before.st_rdev != 0


def test_a_name_of_255_bytes_is_written(tmp_path):
    write_whole(tmp_path / ("x" * 255), b"1", remedy="make room")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


def test_what_is_discarded_is_gone_whatever_it_was_and_what_a_link_names_is_not(tmp_path):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "inner" / "file").write_text("1")
    (tmp_path / "file").write_text("1")
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("folder", "file", "link", "nothing"):
        discard(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert digest_of_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FileNotFoundError):
        digest_of_file(tmp_path / "b")
