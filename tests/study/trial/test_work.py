"""The work on units: many heads in one pass, each with its own records; volumes too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from trial_study import write_study

from tedm.errors import TedmError
from tedm.heads import HERE, load_head, read_records
from tedm.locks import hold_folder, let_go
from tedm.store import FeatureStore
from tedm.study import read_study
from tedm.study.stages import mute
from tedm.study.trial.units import units_of
from tedm.study.trial.work import Work


def test_heads_that_are_scored_together_have_the_records_that_each_has_alone(
    done: Path, extracted: Path, tmp_path: Path
) -> None:
    shutil.copytree(done / "out", tmp_path / "out")
    study = read_study(done / "study.toml")
    unit = next(each for each in units_of(study, tmp_path / "out") if each.method.label == "tedm")
    together = {path.name: path.read_bytes() for path in unit.scores.iterdir()}
    shutil.rmtree(unit.scores)
    Work(study, FeatureStore.open(extracted), "cpu", None, HERE, "the store", mute).score([unit])
    assert {path.name: path.read_bytes() for path in unit.scores.iterdir()} == together
    assert sorted(together) == ["records.csv", "voting.csv"]


def test_units_are_of_one_precision_whatever_their_processors(done: Path) -> None:
    study, seen = read_study(done / "study.toml"), set()
    for unit in units_of(study, done / "out"):
        details = load_head(unit.head).provenance.report.details
        if "precision" in details:
            seen.add(unit.method.label)
            assert details["precision"] == "float32"
    assert "tedm" in seen


def test_a_unit_that_another_process_works_on_is_left_to_it(done: Path, extracted: Path, tmp_path: Path) -> None:
    study = read_study(done / "study.toml")
    (unit, *_) = units_of(study, tmp_path / "out")
    held = hold_folder(unit.folder / ".head.partial", unit.head)
    with pytest.raises(TedmError, match="another run is writing"):
        Work(study, FeatureStore.open(extracted), "cpu", None, HERE, "the store", mute).fit(unit, mute)
    let_go(held)
    assert not unit.fitted


def test_whole_volumes_are_scored_where_their_masks_are_named(volume_study: Path, tmp_path: Path) -> None:
    text = f"store = '{volume_study / 'store'}'"
    score = f"[[score]]\nvolumes = '{volume_study / 'manifest.csv'}'\n"
    methods = '[[methods]]\nmethod = "timestep:50"\n'
    head = 'sizes = [1, 2]\ncounts = "groups"\n'
    study = read_study(write_study(tmp_path, text, head=head, score=score, methods=methods))
    from tedm.study import run_study

    outcome = run_study(study, tmp_path / "out", device="cpu", threads=1)
    assert outcome.results is not None
    assert {record.resolution for record in outcome.results.records} == {"feature"}
    volumes = read_records(tmp_path / "out" / "volumes.csv")
    assert {(record.resolution, record.n, record.n_counts) for record in volumes} == {("volume", n, "groups") for n in (1, 2)}
    assert {record.image for record in volumes} == {"three", "again", "four"}
    assert (tmp_path / "out" / "tables" / "volumes-dice.md").is_file()
