"""What all parts of a report print."""

from __future__ import annotations

from clinician_records import rows, spread

from tedm.heads import image_scores, mean_intervals, summarise
from tedm.study.report.measured import measured


def test_it_is_what_the_tables_the_intervals_and_the_scores_are() -> None:
    records = [*rows("tedm", [0.8, 0.6], classes={1: "lung", 2: ""}), *rows("ledm", [0.9, 0.4], classes={1: "lung", 2: ""})]
    found = measured(records, "count")
    assert found.table == summarise(records, empty="count")
    assert found.classes == summarise(records, empty="count", by_class=True)
    assert found.intervals == mean_intervals(records, empty="count")
    assert found.scores == image_scores(records, empty="count")
    assert (found.class_names, found.noun) == ({1: "lung", 2: "class 2"}, "image")
    assert measured(rows("tedm", [0.8]), "count").classes is None


def test_the_leading_comes_first_at_the_largest_size_that_most_methods_have() -> None:
    records = [row for n in (1, 6) for m, mean in (("a", 0.5), ("b", 0.7), ("c", 0.6)) for row in rows(m, spread(mean), n=n)]
    (leading,) = measured([*records, *rows("a", spread(0.9), n=100)], "leave-out").leading()
    assert leading.n == 6
    assert [cell.method for cell in leading.cells] == ["b", "c", "a"]
    assert leading.best is leading.cells[0]
