"""tedm-evaluate: tables and records."""

from __future__ import annotations

import csv

from click.testing import CliRunner

from tedm.cli import evaluate, fit
from tedm.study import read_evaluation

COMMANDS = {"evaluate": evaluate.main, "fit": fit.main}
QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    """Run a command; its stdout and stderr. A traceback is a failure whatever the code."""
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_a_table_is_printed_and_written(extracted, fitted, tmp_path):
    run("fit", extracted, tmp_path / "probe", "--method", "timestep:1", "--images", 2)
    result = run(
        "evaluate", extracted, fitted, tmp_path / "probe", "--out", tmp_path / "t.csv", "--records", tmp_path / "r.csv"
    )
    assert "tedm" in result.output
    assert "timestep:1" in result.output
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert {(row["domain"], row["method"], row["n"]) for row in rows} == {
        (domain, method, n) for domain in ("here", "there") for method, n in (("tedm", "4"), ("timestep:1", "2"))
    }
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 1 + 2 * 3 * 2
    for ending in ("md", "tex", "txt"):
        run("evaluate", extracted, fitted, "--by", "none", "--timesteps", 1, "--out", tmp_path / f"t.{ending}")
        assert "all" in (tmp_path / f"t.{ending}").read_text()


def test_pictures_are_of_the_images_files_where_these_are_named(extracted, fitted, dataset, tmp_path):
    run("evaluate", extracted, fitted, "--folder", tmp_path / "own", "--originals", dataset)
    run("evaluate", extracted, fitted, "--folder", tmp_path / "scored")
    shown = {name: read_evaluation(tmp_path / name).examples for name in ("own", "scored")}
    assert [{example.own_size for example in examples} for examples in shown.values()] == [{True}, {False}]
    assert {example.truth.shape for example in shown["scored"]} == {(16, 16)}
    refused = run("evaluate", extracted, fitted, "--originals", dataset, code=1).output
    assert "--originals is of the pictures in a folder" in refused


def test_a_table_by_class_is_printed_with_its_correction(extracted, fitted, tmp_path):
    run("fit", extracted, tmp_path / "probe", "--method", "timestep:1", "--images", 4)
    options = ["--by-class", "--correction", "bonferroni", "--out", tmp_path / "t.csv"]
    said = run("evaluate", extracted, fitted, tmp_path / "probe", *options).output
    assert "here, class 255: Dice × 100" in said
    assert "Bonferroni-corrected over the 1 comparison of" in said
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert {(row["class_value"], row["correction"], row["family"]) for row in rows} == {("255", "bonferroni", "1")}
    refused = run("evaluate", extracted, fitted, "--metric", "hd95", code=1).output
    assert "hd95 is a measure of volumes" in refused
    assert len(refused.strip().splitlines()) == 1


def test_volumes_are_scored_by_class_with_distances(volume_study, tmp_path):
    heads = [volume_study / "tedm", volume_study / "probe"]
    volumes = ["--volumes", volume_study / "manifest.csv", "--records", tmp_path / "r.csv"]
    said = run("evaluate", volume_study / "store", *heads, *volumes, "--by-class", "--metric", "hd95", "--largest", 1).output
    assert "here, class 4: HD95 in mm (smaller is better)" in said
    assert "scored at volume resolution" in said
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert {(row["image"], row["group"]) for row in rows} == {("three", "p3"), ("again", "p3"), ("four", "p4")}
    assert {row["method"] for row in rows} == {"tedm", "timestep:50", "tedm+largest=1", "timestep:50+largest=1"}
    assert {row["tolerance"] for row in rows} == {"1.0"}


def test_options_of_volumes_are_refused_without_volumes_in_one_line(volume_study, extracted, fitted, tmp_path):
    for arguments, said in (
        ([volume_study / "store", volume_study / "tedm", "--distances"], "name their masks with --volumes MANIFEST"),
        (
            [volume_study / "store", volume_study / "tedm", "--ignore", 7],
            "--ignore is of the masks that --volumes MANIFEST names",
        ),
        ([extracted, fitted, "--volumes", volume_study / "manifest.csv"], "has no labelled volume of this split and domain"),
        (
            [volume_study / "store", volume_study / "tedm", "--volumes", volume_study, "--folder", tmp_path / "f"],
            "--folder and --calibration are for scores image by image",
        ),
    ):
        refused = run("evaluate", *arguments, code=1).output
        assert said in refused
        assert len(refused.strip().splitlines()) == 1
