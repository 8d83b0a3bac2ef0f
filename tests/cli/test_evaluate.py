"""tedm-evaluate: tables and records."""

from __future__ import annotations

import csv

from click.testing import CliRunner

from tedm.cli import evaluate, fit

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
