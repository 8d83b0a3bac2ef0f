"""A cell is marked when it is the best or its equal, and cells are values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from tedm.heads.evaluation.cells import Cell, Cells
from tedm.heads.evaluation.records import Record
from tedm.heads.evaluation.render import csv, text
from tedm.heads.evaluation.table import summarise

CELL = Cell("here", 3, "tedm", 71.5, 4.25, images=6, left_out=1, groups=5, seeds=2, labels_used=4)


def test_the_best_and_its_equals_are_marked() -> None:
    assert not CELL.marked
    assert replace(CELL, best=True).marked
    assert replace(CELL, equal=True).marked


def test_a_cell_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        CELL.mean = 99.0  # type: ignore[misc]


def test_cells_without_renderings_are_rendered_as_a_table_is() -> None:
    table = summarise([Record("tedm", 1, 0, "in", "test", "a", "a", 1, 0.9, 0.9, 0.9, 0.8, 1, "feature")])
    bare = Cells(table.cells, table.metric, table.alpha, table.resolution, table.class_values)
    assert text(bare) == table.to_text()
    assert csv(bare) == table.to_csv()
