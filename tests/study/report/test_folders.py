"""A result folder as it stands in a report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.study import read_result
from tedm.study.report import ResultTable, write_result
from tedm.study.report.folders import MOST_ROWS, as_it_stands, provenance


def test_figures_have_their_numbers_and_long_tables_are_closed(probed: Path) -> None:
    result = read_result(probed)
    section = as_it_stands(result)
    (picture,) = section.pictures
    assert picture.png == (probed / "dice.png").read_bytes()
    assert picture.sheet.rows == [["1", "0.1235"], ["50", "–"]]
    (table,) = section.closed
    assert len(table.rows) == MOST_ROWS
    assert "the first 200 of 300 rows" in table.caption
    assert section.sheets == []
    assert section.words == result.words


def test_what_was_run_on_what_is_the_folders_own_account(probed: Path) -> None:
    result = read_result(probed)
    about = provenance(result).about
    assert about[:2] == [("folder", str(probed)), ("kind", "probe")]
    assert tuple(about[2:-1]) == result.about
    assert about[-1] == ("made by", result.made_by)


def test_a_picture_that_is_no_png_is_refused(probed: Path, tmp_path: Path) -> None:
    shutil.copytree(probed, tmp_path / "p")
    (tmp_path / "p" / "dice.png").write_bytes(b"GIF89a")
    with pytest.raises(TedmError, match=r"dice\.png is no PNG; write it again with tedm-probe"):
        as_it_stands(read_result(tmp_path / "p"))


def test_a_star_behind_an_entry_of_a_study_is_bold_and_nothing_is_said_of_rounding(tmp_path: Path) -> None:
    content = {"table.csv": "method,n = 1\ntedm,87.2 ± 2.9 *\nledm,80.1 ± 3.0†\n", "costs.csv": "seconds\n0.123456\n"}
    tables = [ResultTable("table.csv", "Dice."), ResultTable("costs.csv", "Costs.")]
    for kind in ("study", "probe"):
        write_result(tmp_path / kind, kind=kind, title="t", content=content, tables=tables)  # type: ignore[arg-type]
    printed, costs = as_it_stands(read_result(tmp_path / "study")).sheets
    assert [list(row) for row in printed.rows] == [["tedm", ("87.2 ± 2.9", True)], ["ledm", "80.1 ± 3.0†"]]
    assert (printed.caption, costs.caption, costs.rows) == ("Dice.", "Costs. (rounded to 4 digits)", [["0.1235"]])
    assert as_it_stands(read_result(tmp_path / "probe")).sheets[0].rows[0] == ["tedm", "87.2 ± 2.9 *"]
