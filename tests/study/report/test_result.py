"""Result folders: what is written is read, and what is damaged says so."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tedm.errors import TedmError
from tedm.study.report.result import DESCRIPTION, ResultFigure, ResultTable, read_result, write_result

FIGURES = [ResultFigure("dice.png", "dice.csv", "Dice against timestep, 3 images", "a curve that falls from 0.9 to 0.5")]
CONTENT = {"dice.png": b"\x89PNG\r\n", "dice.csv": "t,dice\n1,0.9\n", "fits.csv": 'method,"a, b"\nü,2\n', "more.npz": b"PK"}


def made(folder: Path, **changes: Any) -> Path:
    said: dict[str, Any] = {
        "kind": "probe",
        "title": "A probe of ü",
        "content": CONTENT,
        "about": [("store", "features"), ("seeds", "0, 1")],
        "words": ["One.", "Two."],
        "figures": FIGURES,
        "tables": [ResultTable("fits.csv", "every fit")],
        "files": {"arrays": "more.npz"},
    }
    write_result(folder, **(said | changes))
    return folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = write_result(tmp_path / "p", kind="probe", title="t", content=CONTENT, figures=FIGURES, files={"x": "more.npz"})
    read = read_result(tmp_path / "p")
    assert read == written
    assert read.named == ["dice.png", "dice.csv", "more.npz"]
    assert read.bytes_of("dice.png") == CONTENT["dice.png"]
    again = read_result(made(tmp_path / "q"))
    assert again.rows_of("fits.csv") == [["method", "a, b"], ["ü", "2"]]
    assert (again.about, again.words) == ((("store", "features"), ("seeds", "0, 1")), ("One.", "Two."))
    assert re.fullmatch(r"tedm \d+\.\d+\.\d+.*", again.made_by)
    assert replace(again, path=Path()) == replace(read_result(made(tmp_path / "r")), path=Path())
    assert (tmp_path / "q" / DESCRIPTION).read_bytes() == (tmp_path / "r" / DESCRIPTION).read_bytes()


def test_a_place_that_is_taken_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    with pytest.raises(TedmError, match="is not empty"):
        made(tmp_path / "full")
    with pytest.raises(TedmError, match="cannot write the result"):
        made(tmp_path / "full" / "thesis.tex" / "probe")
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "thesis.tex"]
    (tmp_path / "empty").mkdir()
    made(tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "full"]


def test_a_file_that_is_named_and_not_given_is_our_defect(tmp_path: Path) -> None:
    for content in ({}, CONTENT | {"../elsewhere.csv": ""}, CONTENT | {DESCRIPTION: "{}"}):
        with pytest.raises(ValueError, match="without their content, or a file"):
            made(tmp_path / "p", content=content)
    assert not list(tmp_path.iterdir())


def test_what_is_no_result_says_which_commands_make_one(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match=r"it has no result\.json.*tedm-evaluate STORE HEAD\.\.\. --folder.*tedm-probe"):
        read_result(tmp_path)
    with pytest.raises(TedmError, match="does not exist"):
        read_result(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda about: about.pop("title"), "it has no 'title'"),
        (lambda about: about.update(title=3), "3 should be text"),
        (lambda about: about.update(about=[["store"]]), "not enough values"),
        (lambda about: about["figures"][0].pop("alt"), "alt"),
        (lambda about: about.update(figures=[3]), "is damaged"),
        (lambda about: about.update(format=2), "install a newer tedm"),
        (lambda about: about.update(kind="dream"), "install a newer tedm"),
        (lambda about: about["tables"][0].update(file="../../etc/passwd"), "which is no file in its folder"),
        (lambda about: about["tables"][0].update(file="gone.csv"), "gone.csv is not there"),
        (lambda about: about.update(files=["a"]), "is damaged"),
    ],
)
def test_a_damaged_description_is_one_clear_line(tmp_path: Path, change: Any, said: str) -> None:
    path = made(tmp_path / "p") / DESCRIPTION
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))
    with pytest.raises(TedmError, match=said):
        read_result(path.parent)
    for broken in ("", "{", "[]", "3", "nul"):
        path.write_text(broken)
        with pytest.raises(TedmError, match=r"result\.json is damaged"):
            read_result(path.parent)


def test_a_damaged_table_is_one_clear_line(tmp_path: Path) -> None:
    result = read_result(made(tmp_path / "p"))
    for broken, said in (
        (b"", "it is empty"),
        (b"a,b\n1\n", "row 2 has not as many"),
        (b"\xff\xfe", "damaged"),
        (b'"a', "damaged"),
    ):
        (tmp_path / "p" / "fits.csv").write_bytes(broken)
        with pytest.raises(TedmError, match=said):
            result.rows_of("fits.csv")
    (tmp_path / "p" / "fits.csv").unlink()
    with pytest.raises(TedmError, match=r"cannot read .*fits\.csv.*tedm-probe"):
        result.rows_of("fits.csv")


def test_a_link_out_of_the_folder_and_a_pipe_in_it_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n")
    folder = made(tmp_path / "p")
    (folder / "fits.csv").unlink()
    (folder / "fits.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(TedmError, match=r"fits\.csv is a link out of its folder; put the file itself there"):
        read_result(folder)
    (folder / "fits.csv").unlink()
    os.mkfifo(folder / "fits.csv")
    with pytest.raises(TedmError, match=r"fits\.csv is not there"):
        read_result(folder)
    (folder / "fits.csv").unlink()
    (folder / "fits.csv").symlink_to("dice.csv")
    assert read_result(folder).rows_of("fits.csv") == [["t", "dice"], ["1", "0.9"]]


def test_a_description_that_is_nested_deeply_is_damaged(tmp_path: Path) -> None:
    path = made(tmp_path / "p") / DESCRIPTION
    path.write_text("[" * 100_000)
    with pytest.raises(TedmError, match=r"result\.json is damaged \(it is nested deeper"):
        read_result(path.parent)


def test_names_that_are_no_utf_8_come_back(tmp_path: Path) -> None:
    rows = "image,dice\nscan \udcff,1\n"
    read = read_result(made(tmp_path / "p", content=CONTENT | {"fits.csv": rows}, title="of \udcfe"))
    assert read.rows_of("fits.csv")[1] == ["scan \udcff", "1"]
    assert read.title == "of \udcfe"
