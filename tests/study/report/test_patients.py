"""Tables of classes and patients, the worst first."""

from __future__ import annotations

from math import nan

from clinician_records import rows, spread

from tedm.study.report.measured import measured
from tedm.study.report.patients import MOST, patients_section


def test_patients_come_the_worst_first_with_their_classes_and_their_worst_image() -> None:
    records = rows("tedm", [0.9, 0.7, 0.5, 0.8], patients=["p1", "p1", "p2", "p3"], classes={1: "lung", 2: ""})
    records += rows("ledm", [0.4, 0.4, 0.4, 0.4], patients=["p1", "p1", "p2", "p3"], classes={1: "lung", 2: ""})
    (domain,) = patients_section(measured(records, "leave-out")).sections
    classes, patients = domain.sheets
    assert [row[0] for row in classes.rows] == ["lung", "class 2"]
    assert [row[1] for row in classes.rows] == ["72.5 ± 17.1"] * 2
    assert patients.caption == "(no domain), tedm, n = 6: 3 patients, the worst first"
    assert patients.titles == ["patient", "Dice", "lung", "class 2", "images", "worst image"]
    assert patients.rows == [
        ["p2", "50.0", "50.0", "50.0", "1", "scan 2"],
        ["p1", "80.0", "80.0", "80.0", "2", "scan 1"],
        ["p3", "80.0", "80.0", "80.0", "1", "scan 3"],
    ]


def test_images_stand_alone_where_each_is_a_group_of_its_own() -> None:
    (domain,) = patients_section(measured(rows("tedm", [0.9, 0.7]), "leave-out")).sections
    (sheet,) = domain.sheets
    assert sheet.titles == ["image", "Dice"]
    assert sheet.rows == [["scan 1", "70.0"], ["scan 0", "90.0"]]


def test_the_rest_is_said_and_so_are_those_without_a_score() -> None:
    records = rows("tedm", [*spread(0.5, MOST + 5), nan])
    (domain,) = patients_section(measured(records, "leave-out")).sections
    (sheet,) = domain.sheets
    assert len(sheet.rows) == MOST
    assert sheet.caption.endswith(
        "25 images, the worst first (the 20 worst of 25, the others have 58.0 to 62.0; 1 without a score is not here)"
    )


def test_a_domain_without_a_score_has_no_table() -> None:
    records = [*rows("tedm", [0.9, 0.7], domain="a"), *rows("tedm", [nan, nan], domain="b")]
    assert [section.title for section in patients_section(measured(records, "leave-out")).sections] == ["a"]
