"""Units: their folders, their shards, and what each cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_study import of_store, write_study

from tedm.study import read_study
from tedm.study.trial.spec import Study
from tedm.study.trial.units import Cost, by_training_set, cost_of, cost_text, units_of


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return read_study(write_study(tmp_path, of_store(Path("/nowhere"))))


def test_units_of_one_training_set_are_side_by_side_in_the_order_of_the_file(study: Study, tmp_path: Path) -> None:
    groups = list(by_training_set(units_of(study, tmp_path)))
    assert [(group[0].n, group[0].seed) for group in groups] == [(1, 0), (1, 1), (3, 0), (3, 1)]
    for group in groups:
        assert [unit.method.label for unit in group] == ["tedm", "ledm", "timestep:50"]
    assert str(groups[0][0].folder.relative_to(tmp_path)) == "units/tedm/n-1-seed-0"


@pytest.mark.parametrize("parts", [1, 2, 5, 12, 20])
def test_shards_are_disjoint_and_together_all(study: Study, tmp_path: Path, parts: int) -> None:
    shards = [units_of(study, tmp_path, shard=(part, parts)) for part in range(parts)]
    assert sorted(unit.number for shard in shards for unit in shard) == list(range(12))
    assert {unit.number % parts for unit in shards[-1]} <= {parts - 1}


def test_each_of_two_shards_has_its_part_of_every_method(study: Study, tmp_path: Path) -> None:
    for part in (0, 1):
        labels = [unit.method.label for unit in units_of(study, tmp_path, shard=(part, 2))]
        assert {label: labels.count(label) for label in labels} == {"tedm": 2, "ledm": 2, "timestep:50": 2}


def test_a_unit_of_a_method_alone_keeps_its_shard(study: Study, tmp_path: Path) -> None:
    alone = units_of(study, tmp_path, only=["ledm"], shard=(1, 3))
    assert alone == [unit for unit in units_of(study, tmp_path, shard=(1, 3)) if unit.method.label == "ledm"]


def test_costs_are_read_as_they_were_written_and_damaged_ones_are_not_known(study: Study, tmp_path: Path) -> None:
    unit = units_of(study, tmp_path)[0]
    unit.folder.mkdir(parents=True)
    assert cost_of(unit) == Cost()
    unit.fit_cost.write_bytes(cost_text(1.25, 20))
    assert cost_of(unit) == Cost(1.25, None, 20)
    assert cost_of(unit).seconds is None
    unit.score_cost.write_bytes(cost_text(0.5))
    assert cost_of(unit).seconds == 1.75
    for damaged in ("", "[1]", '{"seconds": "x"}'):
        unit.score_cost.write_text(damaged)
        assert cost_of(unit) == Cost(1.25, None, 20)


def test_a_unit_is_done_when_its_head_and_its_records_are_there(study: Study, tmp_path: Path) -> None:
    unit = units_of(study, tmp_path)[0]
    unit.head.mkdir(parents=True)
    assert not unit.fitted
    (unit.head / "head.json").write_text("{}")
    assert (unit.fitted, unit.done) == (True, False)
    unit.scores.mkdir()
    (unit.scores / "records.csv").write_text("")
    assert unit.done
