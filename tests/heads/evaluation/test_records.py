"""Records come back from their file as they were, and what is no record is refused."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads.evaluation.records import Record, read_records, write_records


def record(method: str = "tedm", image: str = "a", dice: float = 0.5, **changes: Any) -> Record:
    row = Record(method, 1, 0, "shenzhen", "test", image, image, 1, dice, dice, dice, dice / (2 - dice), 1, "feature")
    return replace(row, **changes)


def test_records_come_back_with_every_digit(tmp_path: Any) -> None:
    dice = [float(value) for value in np.random.default_rng(3).uniform(size=9)]
    rows = [
        *(record(image=f"i{number}", dice=value) for number, value in enumerate(dice)),
        record(image='ü, "x"\ny', group="", dice=math.nan),
    ]
    write_records(rows, tmp_path / "scores.csv")
    assert [str(row) for row in read_records(tmp_path / "scores.csv")] == [str(row) for row in rows]
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_distances_and_names_of_classes_come_back_and_a_table_of_before_lacks_them(tmp_path: Any) -> None:
    path = tmp_path / "scores.csv"
    row = record(hd95=3.25, nsd=0.875, tolerance=1.0, class_name="left hippocampus", n_counts="groups")
    write_records([row, record(image="b")], path)
    assert read_records(path) == [row, record(image="b")]
    lines = [line.rsplit(",", 5)[0] for line in path.read_text().splitlines()]  # as versions before volumes wrote it
    assert lines[0].endswith(",resolution")
    path.write_text("\n".join(lines))
    assert read_records(path) == [record(), record(image="b")]


def test_records_that_lack_the_same_scores_are_equal() -> None:
    assert record(dice=float("nan")) == record(dice=float("nan"))


def test_a_failed_write_leaves_the_old_records(tmp_path: Any) -> None:
    write_records([record()], tmp_path / "scores.csv")

    def interrupted() -> Any:
        yield record("ledm")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(interrupted(), tmp_path / "scores.csv")
    assert [str(row) for row in read_records(tmp_path / "scores.csv")] == [str(record())]
    assert len(list(tmp_path.iterdir())) == 1


def test_files_that_hold_no_records_are_refused(tmp_path: Any) -> None:
    path = tmp_path / "scores.csv"
    with pytest.raises(TedmError, match="cannot read the records"):
        read_records(path)
    path.write_text("method,n\ntedm,1\n")
    with pytest.raises(TedmError, match="has no column seed"):
        read_records(path)
    write_records([record(), record()], path)
    path.write_text(path.read_text().replace("tedm,1,", "tedm,one,", 1) + "ledm,2\n")
    with pytest.raises(TedmError, match=r"(?s)line 2: n should be int, got 'one'.*line 4: seed is missing"):
        read_records(path)
    with pytest.raises(TedmError, match="cannot write"):
        write_records([], tmp_path / "missing" / "scores.csv")


def test_names_that_are_no_utf_8_come_back(tmp_path: Any) -> None:
    rows = [record(image="scan \udcff"), record(image="scan \udcfe", domain="h\udce4r")]
    write_records(rows, tmp_path / "scores.csv")
    assert read_records(tmp_path / "scores.csv") == rows


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("dice", "1.5", "dice should be from 0 to 1, or nan, got 1.5"),
        ("iou", "inf", "iou should be from 0 to 1"),
        ("recall", "-0.1", "recall should be from 0 to 1"),
        ("precision", "", "precision should be float"),
        ("nsd", "1.01", "nsd should be from 0 to 1"),
        ("hd95", "-0.5", "hd95 should be a number of mm of at least 0, or nan, got -0.5"),
        ("hd95", "inf", "hd95 should be a number of mm of at least 0, or nan, got inf"),
        ("tolerance", "-1", "tolerance should be a number of mm"),
        ("n_counts", "slices", "n_counts should be images or groups, got 'slices'"),
        ("n", "-1", "should not be below 0"),
        ("labels_used", "-4", "should not be below 0"),
        ("seed", "1.0", "seed should be int"),
        ("class_value", "9" * 5000, "class_value should be int, got '9999"),
    ],
)
def test_a_score_out_of_its_range_is_refused_with_its_line(tmp_path: Any, column: str, value: str, said: str) -> None:
    path = tmp_path / "scores.csv"
    write_records([record(), record(image="b")], path)
    titles, first, second = path.read_text().splitlines()
    cells = second.split(",")
    cells[titles.split(",").index(column)] = value
    path.write_text("\n".join([titles, first, ",".join(cells)]))
    with pytest.raises(TedmError, match=f"(?s)line 3: .*{said}") as refused:
        read_records(path)
    assert len(str(refused.value)) < 400


def test_an_image_that_is_scored_twice_is_refused(tmp_path: Any) -> None:
    write_records([record(), record(image="b"), record(dice=0.9)], tmp_path / "scores.csv")
    with pytest.raises(TedmError, match="line 4: the same image, class and head as line 2"):
        read_records(tmp_path / "scores.csv")


def test_a_pipe_and_a_giant_field_are_refused(tmp_path: Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TedmError, match="pipe is no plain file"):
        read_records(tmp_path / "pipe")
    write_records([record(image="x" * 10**6)], tmp_path / "scores.csv")
    with pytest.raises(TedmError, match="cannot read the records"):
        read_records(tmp_path / "scores.csv")


@pytest.mark.parametrize("text", ["=1+1", "-scan", "+a", "@a", "\ta", "'=a", "'a", "-0.5"])
def test_names_that_look_like_formulas_come_back(tmp_path: Any, text: str) -> None:
    row = record(text, text, domain=text, group=text)
    write_records([row], tmp_path / "scores.csv")
    assert read_records(tmp_path / "scores.csv") == [row]
