"""The scores of evaluations as tables and figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tedm.heads import mean_intervals, summarise
from tedm.study import read_evaluation
from tedm.study.report.measured import measured
from tedm.study.report.scores import scores_section


def test_the_numbers_below_a_curve_are_means_and_intervals(evaluated: Path) -> None:
    evaluation = read_evaluation(evaluated / "evaluation")
    section = scores_section(measured(evaluation.records, "leave-out"))
    cells, intervals = summarise(evaluation.records).cells, mean_intervals(evaluation.records)
    for domain in section.sections:
        curves, boxes = domain.pictures
        mine = [cell for cell in cells if cell.domain == domain.title]
        expected = [
            [cell.method, str(cell.n), *(f"{v:.1f}" for v in (cell.mean, *intervals[cell.domain, cell.n, cell.method]))]
            for cell in mine
        ]
        assert sorted(row[:5] for row in curves.sheet.rows) == sorted(expected)
        assert [row[0] for row in boxes.sheet.rows] == ["timestep:1, n = 4", "timestep:50, n = 4"]
        assert [sheet.caption.split(":")[1].split()[0] for sheet in domain.closed] == ["Precision", "Recall", "IoU"]
    assert [domain.title for domain in section.sections] == list(dict.fromkeys(cell.domain for cell in cells))


def test_distances_of_volumes_have_their_tables_where_they_were_measured(evaluated: Path) -> None:
    evaluation = read_evaluation(evaluated / "evaluation")
    records = tuple(replace(one, resolution="volume", hd95=2.0, nsd=0.5, tolerance=1.0) for one in evaluation.records)
    section = scores_section(measured(records, "leave-out"))
    for domain in section.sections:
        assert [sheet.caption.split(": ")[1].split(" ×")[0].split(" in")[0] for sheet in domain.closed] == [
            "Precision",
            "Recall",
            "IoU",
            "HD95",
            "NSD at 1 mm",
        ]
        assert {entry[0] for row in domain.closed[3].rows for entry in row[1:]} <= {"2.00", "2.00 ± 0.00"}


def test_each_class_has_its_table_where_there_are_several(evaluated: Path) -> None:
    evaluation = read_evaluation(evaluated / "evaluation")
    third = tuple(replace(one, class_value=300, class_name="spleen") for one in evaluation.records if one.class_value == 255)
    section = scores_section(measured((*evaluation.records, *third), "leave-out"))
    for domain in section.sections:
        captions = [sheet.caption.split(":")[0] for sheet in domain.closed]
        assert captions[3:] == [f"{domain.title}, class 255", f"{domain.title}, spleen"]
    assert any("all classes and methods together" in note for note in section.notes)
