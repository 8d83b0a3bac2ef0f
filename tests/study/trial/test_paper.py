"""A finished study as the paper's tables: each record plays its part, and a figure shows what heads predict."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tedm.heads import load_head, predict
from tedm.store import FeatureStore, Registration
from tedm.study import read_study
from tedm.study.paper.tables import tables
from tedm.study.trial import assemble, units_of
from tedm.study.trial.paper import paper_results, pictures, write_study_paper


@pytest.fixture(scope="module")
def parts(done: Path):
    study = read_study(done / "study.toml")
    return study, units_of(study, done / "out"), assemble(study, done / "out")


def test_records_play_the_parts_that_the_file_gives_their_methods(parts):
    study, units, results = parts
    found = paper_results(study, units, results)
    assert found.records == results.records
    assert found.probes == {"timestep:50": 50}
    assert found.names == {"ledm": "ledm", "tedm": "tedm"}
    assert found.home is None  # the file names no domain to learn from
    assert {record.method for record in found.voting} == {"t = 1", "t = 50"}
    assert sorted(record.dice for record in found.voting) == sorted(record.dice for record in results.voting)
    assert {(cost.method, cost.n, cost.fits, cost.labels_used) for cost in found.costs} == {
        (method, n, 2, n) for method in ("tedm", "ledm", "timestep:50") for n in (1, 3)
    }


def test_the_correction_of_the_file_stands_beside_the_papers_tests(parts):
    study, units, results = parts
    assert paper_results(study, units, results).beside == "holm"
    assert paper_results(replace(study, correction="none"), units, results).beside == "holm"
    found = paper_results(replace(study, correction="bonferroni"), units, results)
    (table, *_) = tables(found)
    assert "p_bonferroni" in str(table.content["table-1.csv"])
    assert "not after Bonferroni's correction" in str(table.content["table-1.md"])
    assert "Holm" not in str(table.content["table-1.md"])


def test_a_method_of_a_name_of_its_own_plays_its_part_under_that_name(parts):
    study, units, results = parts
    renamed = replace(study, methods=tuple(replace(method, name=f"my {method.method}") for method in study.methods))
    assert paper_results(renamed, units, results).names == {"ledm": "my ledm", "tedm": "my tedm"}
    assert paper_results(renamed, units, results).probes == {"my timestep:50": 50}
    assert paper_results(renamed, units, results).voting == ()  # the records have the old name


def test_examples_are_the_middle_image_of_each_part_and_what_the_first_seeds_heads_predict(done, extracted, parts):
    study, units, _ = parts
    store = FeatureStore.open(extracted)
    here, there = pictures(study, units, store, device="cpu")
    assert (here.domain, there.domain) == ("here", "there")
    names = store.labels.select(split="test", domain="here")
    assert here.name == names[len(names) // 2]
    assert np.array_equal(here.truth, store.mask(here.name))
    assert set(here.masks) == {(method, n) for method in ("tedm", "ledm") for n in (1, 3)}
    head = load_head(done / "out" / "units" / "ledm" / "n-3-seed-0" / "head")
    (prediction,) = predict(store, {"": head}, [here.name])
    assert np.array_equal(here.masks["ledm", 3], prediction.mask)
    assert here.note == "Heads of each method's first seed."


def test_no_example_is_an_image_that_shows_less_than_others(done, extracted, parts, tmp_path: Path):
    study, units, _ = parts
    shutil.copytree(extracted, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    names = store.labels.select(split="test", domain="there")
    middle = names[len(names) // 2]
    size = store.labels.original_sizes[store.labels.index(middle)]
    nothing = np.zeros_like(store.mask(middle))
    store.relabel([Registration(middle, "", "", "", size, nothing)], store.labels.classes)
    _, there = pictures(study, units, FeatureStore.open(tmp_path / "store"), device="cpu")
    assert there.name in names
    assert there.name != middle


def test_tables_figures_and_a_report_lie_in_the_studys_folder_and_replace_those_of_before(done, extracted, parts):
    study, _, results = parts
    out, store = done / "out", FeatureStore.open(extracted)
    before = {path.name: path.read_bytes() for path in (out / "paper").iterdir()}
    (out / "paper" / "left.over").touch()
    lines = write_study_paper(study, out, results, store)
    assert {path.name: path.read_bytes() for path in (out / "paper").iterdir()} == before
    assert {"table-1.csv", "figure-4-1.png", "findings.md", "costs.csv"} <= set(before)
    assert any("table 3" in line and "left out" in line for line in lines)
    assert "<title>" in (out / "report.html").read_text()
