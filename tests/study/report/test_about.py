"""Where the numbers of a result come from, in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tedm.heads import load_head, probe
from tedm.store import FeatureStore
from tedm.study import read_evaluation
from tedm.study.report.about import about_features, about_findings, about_heads, about_records

LEVELS = "level0 (16 channels, stride 2), level1 (8 channels, stride 1)"


def test_features_are_described_by_their_settings(evaluated: Path) -> None:
    store = FeatureStore.open(evaluated / "store")
    about = dict(about_features(store, "mine"))
    assert about["store"] == "mine"
    assert about["features"] == f"16 x 16 pixels; {LEVELS}; nearest upsampling"
    assert about["timesteps"] == "1, 50; noise per-image, seed 0, 1 draw a timestep"
    assert about["checkpoint"] == f"SHA-256 {store.settings.checkpoint_sha256}"
    assert about["computed as"] == "float32 on cpu, kept as float16, native"


def test_heads_that_differ_in_images_alone_share_a_line(evaluated: Path) -> None:
    names = ("timestep1-1", "timestep1-4", "timestep50-4")
    heads = {name: load_head(evaluated / name) for name in names}
    called = {name: heads[name].method.name for name in names}
    first, second = about_heads(heads, called, None, None)
    assert first[0] == "head timestep:1"
    assert first[1].startswith("logistic, rows share; timestep 1, soft vote; from all domains, train split")
    assert first[1].endswith("; n: 1, 4; seed: 0; labels used, val included: 1, 4")
    assert second[0] == "head timestep:50"
    asked = about_heads({"a": heads["timestep1-4"]}, {"a": "it"}, "hard", [1, 50])
    assert "; timesteps 1, 50, hard vote; " in asked[0][1]


def test_records_tell_what_was_scored(evaluated: Path) -> None:
    records = read_evaluation(evaluated / "evaluation").records
    assert about_records(records) == [
        ("scored on", "there test: 2 images, here test: 1 images"),
        ("mask values", "0, 255, the first of them the background"),
    ]


def test_records_tell_what_classes_are_called(evaluated: Path) -> None:
    records = [
        replace(one, class_name="lung" if one.class_value else "") for one in read_evaluation(evaluated / "evaluation").records
    ]
    assert dict(about_records(records))["mask values"] == "0, 255 (lung), the first of them the background"


def test_heads_that_count_patients_say_so(evaluated: Path) -> None:
    head = load_head(evaluated / "timestep1-4")
    counted = replace(head, provenance=replace(head.provenance, groups=2, n_counts="groups"))
    (line,) = about_heads({"a": counted}, {"a": "it"}, None, None)
    assert line[1].endswith("; n, groups (patients): 2; seed: 0; labels used, val included: 4; images: 4")


def test_a_probe_tells_how_many_labels_it_took(evaluated: Path) -> None:
    store = FeatureStore.open(evaluated / "store")
    about = dict(about_findings(store, probe(store, sizes=[1, 2], repeats=1), "mine"))
    assert about["levels"] == LEVELS
    assert about["training images"] == "2 at most, of sizes 1, 2"
    assert about["labels used"] == "n for every fit, and 0 of val for what is chosen"
