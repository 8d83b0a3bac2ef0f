"""tedm-report: what it follows, what it refuses, and that it says so in one line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tedm.cli import evaluate, report


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(report.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def made(out: Path, *folders: Path) -> str:
    run(*folders, "--out", out)
    return out.read_text(encoding="utf-8")


def test_an_evaluation_says_its_convention_and_a_report_follows_it(evaluated: Path, tmp_path: Path) -> None:
    arguments = [evaluated / "store", evaluated / "timestep1-1", "--empty-truth", "count"]
    arguments += ["--folder", tmp_path / "counted", "--out", tmp_path / "t.csv"]
    printed = CliRunner().invoke(evaluate.main, [str(argument) for argument in arguments])
    assert printed.exit_code == 0, printed.output
    assert "(empty truth: count)" in printed.stdout
    assert {row["empty_truth"] for row in csv.DictReader((tmp_path / "t.csv").read_text().splitlines())} == {"count"}
    about = dict(json.loads((tmp_path / "counted" / "result.json").read_text())["about"])
    assert about["empty truth"].startswith("count: ")
    assert "(empty truth: count)" in made(tmp_path / "r.html", tmp_path / "counted")
    refused = run(evaluated / "evaluation", tmp_path / "counted", "--out", tmp_path / "both.html", code=1)
    assert "choose one for the report with --empty-truth" in refused.stderr
    assert not (tmp_path / "both.html").exists()


def test_what_cannot_be_shown_is_one_clear_line(evaluated: Path, probed: Path, tmp_path: Path) -> None:
    good = evaluated / "evaluation"
    (tmp_path / "thesis.html").write_text("<html>precious</html>")
    damaged = {}
    for name, file, change in (
        ("no json", "result.json", lambda text: text[:40]),
        ("newer", "result.json", lambda text: text.replace('"format": 1', '"format": 2')),
        ("no scores", "records.csv", lambda text: text.splitlines()[0] + "\n"),
        ("torn", "records.csv", lambda text: text[:-30]),
        ("mixed up", "examples.csv", lambda text: text.splitlines()[0] + "\n" + text.splitlines()[1] + "\n"),
    ):
        damaged[name] = tmp_path / name
        shutil.copytree(good, damaged[name])
        (damaged[name] / file).write_text(change((good / file).read_text()))
    for name, file, content in (("no png", "dice.png", b"GIF89a"), ("no table", "dice.csv", b"")):
        damaged[name] = tmp_path / name
        shutil.copytree(probed, damaged[name])
        (damaged[name] / file).write_bytes(content)
    out = ["--out", tmp_path / "r.html"]
    refusals = [
        (
            [tmp_path / "nowhere", *out],
            "does not exist; make one with tedm-evaluate STORE HEAD... --folder FOLDER or tedm-probe",
        ),
        ([evaluated / "store", *out], "it has no result.json"),
        ([good, good, *out], "named twice"),
        ([damaged["no json"], *out], "result.json is damaged"),
        ([damaged["newer"], *out], "install a newer tedm"),
        ([damaged["no scores"], *out], "there are no scores in"),
        ([damaged["torn"], *out], "holds rows that are no records"),
        ([damaged["mixed up"], *out], "do not belong together"),
        ([damaged["no png"], *out], "dice.png is no PNG"),
        ([damaged["no table"], *out], "dice.csv is damaged (it is empty)"),
        ([good, "--out", tmp_path / "thesis.html"], "is no report of tedm-report"),
        ([good, "--out", tmp_path], "is a folder"),
        ([good, "--out", tmp_path / "no" / "r.html"], "cannot write the report"),
    ]
    for arguments, said in refusals:
        result = run(*arguments, code=1)
        assert said in result.stderr, (arguments, result.output)
        assert result.stderr.count("tedm: ") == 1
        assert "Traceback" not in result.output
    assert not (tmp_path / "r.html").exists()
    assert (tmp_path / "thesis.html").read_text() == "<html>precious</html>"


def test_a_folder_that_is_taken_is_refused_before_scoring(evaluated: Path) -> None:
    kept = json.loads((evaluated / "evaluation" / "result.json").read_text())
    arguments = [evaluated / "store", evaluated / "timestep1-1", "--folder", evaluated / "evaluation"]
    refused = CliRunner().invoke(evaluate.main, [str(argument) for argument in arguments])
    assert refused.exit_code == 1
    assert "is not empty" in refused.stderr
    assert "evaluating" not in refused.stderr
    assert json.loads((evaluated / "evaluation" / "result.json").read_text()) == kept
    assert kept["about"][-1] == ["command", kept["about"][-1][1]]
    assert kept["about"][-1][1].startswith("tedm-evaluate ")
