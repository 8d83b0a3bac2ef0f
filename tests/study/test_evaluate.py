"""Scores, and all that is written of them, in one call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tedm.errors import TedmError
from tedm.heads import evaluate, load_head, read_records, reliability, summarise
from tedm.store import FeatureStore
from tedm.study import evaluate_heads, read_evaluation, write_report
from tedm.study.evaluate import RENDERINGS


def test_what_is_written_is_what_is_returned(evaluated: Path, tmp_path: Path) -> None:
    store = FeatureStore.open(evaluated / "store")
    heads = {name: load_head(evaluated / name) for name in ("timestep1-1", "timestep50-4")}
    done = evaluate_heads(
        store,
        heads,
        table_file=tmp_path / "t.csv",
        records_file=tmp_path / "r.csv",
        folder=tmp_path / "folder",
        calibration_folder=tmp_path / "calibration",
        command="mine",
    )
    records = evaluate(store, heads)
    assert list(map(str, done.records)) == list(map(str, records))
    assert list(map(str, read_records(tmp_path / "r.csv"))) == list(map(str, records))
    assert (tmp_path / "t.csv").read_text() == done.table.to_csv() == summarise(records).to_csv()
    assert [one.before.ece for one in done.reliability] == [one.before.ece for one in reliability(store, heads)]
    assert dict(read_evaluation(tmp_path / "folder").result.about)["command"] == "mine"
    assert len(list((tmp_path / "calibration").iterdir())) == 3


def test_one_table_for_all_domains_is_that_of_their_records(evaluated: Path) -> None:
    store, heads = FeatureStore.open(evaluated / "store"), {"a": load_head(evaluated / "timestep1-4")}
    apart, together = evaluate_heads(store, heads), evaluate_heads(store, heads, by_domain=False)
    assert {cell.domain for cell in together.table.cells} == {"all"}
    assert sum(cell.images for cell in together.table.cells) == sum(cell.images for cell in apart.table.cells)
    assert apart.reliability == ()


def test_heads_of_images_and_of_patients_are_refused_together_before_anything_is_scored(evaluated: Path) -> None:
    store, one = FeatureStore.open(evaluated / "store"), load_head(evaluated / "timestep1-1")
    other = replace(one, provenance=replace(one.provenance, groups=1, n_counts="groups"))
    with pytest.raises(TedmError, match=r"images for one and groups \(patients\) for other|groups .* for other and images"):
        evaluate_heads(store, {"one": one, "other": other}, progress=_no_stage)
    done = evaluate_heads(store, {"other": other})
    assert "n counts groups (patients)" in done.table.to_text()
    assert {record.n_counts for record in done.records} == {"groups"}


def test_places_are_refused_before_anything_is_scored(evaluated: Path, tmp_path: Path) -> None:
    store, heads = FeatureStore.open(evaluated / "store"), {"a": load_head(evaluated / "timestep1-4")}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    for place, said in (
        ({"folder": tmp_path / "full"}, "is not empty"),
        ({"calibration_folder": tmp_path / "full"}, "is not empty"),
        (
            {"metric": "hd95"},
            "hd95 is a measure of volumes, .*; images at feature resolution have dice, precision, recall, iou:",
        ),
        ({"table_file": tmp_path / "t.doc"}, f"must be one of {', '.join(RENDERINGS)}"),
        ({"table_file": tmp_path / "no" / "t.csv"}, "cannot write the table .*No such file or directory; name .* --out"),
        ({"records_file": tmp_path / "full"}, "cannot write the records .*: it is a folder; name another place with --records"),
        (
            {"folder": tmp_path / "a", "calibration_folder": tmp_path / "a"},
            "--folder and --calibration both name .*a; give each",
        ),
        ({"table_file": tmp_path / "t.csv", "records_file": tmp_path / "t.csv"}, "--out and --records both name"),
        ({"folder": tmp_path / "full" / "thesis.tex" / "a"}, "cannot write the result .*: Not a directory"),
    ):
        with pytest.raises(TedmError, match=said):
            evaluate_heads(store, heads, progress=_no_stage, **place)
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "thesis.tex"]


def test_what_is_of_volumes_alone_is_refused_without_them_and_the_other_way_round(volume_study: Path, tmp_path: Path) -> None:
    store, heads = FeatureStore.open(volume_study / "store"), {"a": load_head(volume_study / "tedm")}
    truth = volume_study / "manifest.csv"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"distances": True}, "distances between surfaces are for whole volumes; name their masks with --volumes MANIFEST"),
        ({"tolerance": 2.0}, "distances between surfaces are for whole volumes; name their masks with --volumes MANIFEST"),
        ({"ignore": 7}, "--ignore is of the masks that --volumes MANIFEST names"),
        ({"metric": "hd95"}, "hd95 is a measure of volumes"),
        ({"truth": truth, "tolerance": 2.0}, "none is measured; give --distances or --metric nsd"),
        (
            {"truth": truth, "folder": tmp_path / "f"},
            "--folder and --calibration are for scores image by image: run them without",
        ),
        ({"truth": truth, "calibration_folder": tmp_path / "c"}, "run them without --volumes"),
    ]
    for options, said in cases:
        with pytest.raises(TedmError, match=said) as caught:
            evaluate_heads(store, heads, progress=_no_stage, **options)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_volumes_are_scored_into_the_same_table_and_records(volume_study: Path, tmp_path: Path) -> None:
    store, heads = (
        FeatureStore.open(volume_study / "store"),
        {name: load_head(volume_study / name) for name in ("tedm", "probe")},
    )
    options: dict[str, Any] = {"truth": volume_study / "manifest.csv", "metric": "hd95", "tolerance": 2.0}
    done = evaluate_heads(store, heads, by_class=True, records_file=tmp_path / "r.csv", table_file=tmp_path / "t.md", **options)
    assert {(record.image, record.tolerance) for record in done.records} == {(name, 2.0) for name in ("three", "again", "four")}
    assert list(map(str, read_records(tmp_path / "r.csv"))) == list(map(str, done.records))
    text = (tmp_path / "t.md").read_text()
    assert "HD95 in mm (smaller is better)" in text
    assert "class 9" in text
    assert "3 volumes" in text


def test_a_store_of_volumes_is_reported_slice_by_slice(volume_study: Path, tmp_path: Path) -> None:
    store, heads = FeatureStore.open(volume_study / "store"), {"tedm": load_head(volume_study / "tedm")}
    done = evaluate_heads(store, heads, folder=tmp_path / "folder")
    assert len({record.image for record in done.records}) == 11
    write_report([tmp_path / "folder"], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert any(record.image in text for record in done.records)
    assert "feature resolution" in text


def _no_stage(stage: str) -> None:
    raise AssertionError(f"{stage} has begun")
