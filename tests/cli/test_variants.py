"""Variants of a method in one table and one report, and what is said of a head."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tedm.cli import evaluate, fit, inspect, report
from tedm.heads import load_head
from tedm.study.fit import course
from tedm.study.report.evaluation import read_evaluation, told_apart

QUICK = ("--method", "tedm", "--timesteps", "1,50", "--iterations", 3, "--device", "cpu")


def run(command: object, *arguments: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])  # type: ignore[arg-type]
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stdout, result.stderr


@pytest.fixture(scope="module")
def variants(evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four heads of TEDM: one and two members, twice the same but for the images, one with a name."""
    folder = tmp_path_factory.mktemp("variants")
    store = evaluated / "store"
    run(fit.main, store, folder / "one", *QUICK)
    run(fit.main, store, folder / "two", *QUICK, "--members", 2, "--pixels-per-batch", 64)
    shutil.copytree(folder / "one", folder / "twin")
    run(fit.main, store, folder / "named", *QUICK, "--name", "mine")
    for key in ("one", "two"):
        run(evaluate.main, store, folder / key, "--folder", folder / f"{key}-evaluation")
    return folder


def test_variants_are_named_in_one_table(evaluated: Path, variants: Path, tmp_path: Path) -> None:
    heads = [variants / key for key in ("one", "two", "named")]
    out, _ = run(evaluate.main, evaluated / "store", *heads, "--records", tmp_path / "r.csv", "--folder", tmp_path / "e")
    names = {"tedm", "tedm, members 2, pixels per batch 64", "mine"}
    assert {row["method"] for row in csv.DictReader((tmp_path / "r.csv").read_text().splitlines())} == names
    assert all(name in out for name in names)
    written = read_evaluation(tmp_path / "e")
    assert set(written.methods) == names
    assert {label for label, _ in written.result.about if label.startswith("head ")} == {f"head {name}" for name in names}
    assert dict(written.result.about)["head mine"].split("; ")[3] == "method tedm, iterations 3"
    assert {title for example in written.examples for title in example.predictions} == {f"{name}, n = 4" for name in names}
    rows = list(csv.reader((tmp_path / "e" / "methods.csv").read_text().splitlines()))
    assert rows[0] == ["name", "setting", "value", "default"]
    assert ["tedm, members 2, pixels per batch 64", "members", "2", "1"] in rows


def test_a_clash_is_found_before_anything_is_scored(evaluated: Path, variants: Path) -> None:
    _, said = run(evaluate.main, evaluated / "store", variants / "one", variants / "twin", code=1)
    assert "evaluating" not in said
    assert said.startswith(f"tedm: the heads {variants / 'one'} and {variants / 'twin'} cannot be told apart")
    assert "tedm-fit --name" in said
    assert len(said.splitlines()) == 1


def test_a_report_tells_the_methods_of_several_folders_apart(variants: Path, tmp_path: Path) -> None:
    folders = [variants / "one-evaluation", variants / "two-evaluation"]
    alone = [read_evaluation(folder) for folder in folders]
    assert [set(evaluation.methods) for evaluation in alone] == [{"tedm"}, {"tedm"}]
    together = told_apart(alone)
    name = "tedm, members 2, pixels per batch 64"
    assert [{record.method for record in evaluation.records} for evaluation in together] == [{"tedm"}, {name}]
    assert {title for example in together[1].examples for title in example.dice} == {f"{name}, n = 4"}
    about = dict(together[1].result.about)
    assert f"head {name}" in about
    assert "head tedm" not in about
    assert f"are those of {name}, n = 4, by mean foreground Dice" in about["images shown"]
    run(report.main, *folders, "--out", tmp_path / "r.html")
    assert re.search(f"<t[hd][^>]*>{name}</t[hd]>", (tmp_path / "r.html").read_text())


def test_cleaned_masks_are_renamed_with_their_method(evaluated: Path, variants: Path, tmp_path: Path) -> None:
    run(evaluate.main, evaluated / "store", variants / "two", "--folder", tmp_path / "e", "--largest", 2)
    _, cleaned = told_apart([read_evaluation(variants / "one-evaluation"), read_evaluation(tmp_path / "e")])
    name = "tedm, members 2, pixels per batch 64"
    assert {record.method for record in cleaned.records} == {name, f"{name}+largest=2"}


def test_folders_without_settings_are_read_as_before(variants: Path, tmp_path: Path) -> None:
    for key in ("one", "two"):
        shutil.copytree(variants / f"{key}-evaluation", tmp_path / key)
        path = tmp_path / key / "result.json"
        about = json.loads(path.read_text())
        del about["files"]["methods"]
        path.write_text(json.dumps(about))
        (tmp_path / key / "methods.csv").unlink()
    run(report.main, tmp_path / "one", "--out", tmp_path / "r.html")
    assert "has 2 scores for image" in run(report.main, tmp_path / "one", tmp_path / "two", "--out", tmp_path / "r", code=1)[1]
    run(report.main, tmp_path / "one", variants / "two-evaluation", "--out", tmp_path / "r", code=1)


def test_damaged_settings_are_one_clear_line(variants: Path, tmp_path: Path) -> None:
    shutil.copytree(variants / "one-evaluation", tmp_path / "e")
    (tmp_path / "e" / "methods.csv").write_text("name,setting,value,default\ntedm,rows,share,\n")
    said = run(report.main, tmp_path / "e", "--out", tmp_path / "r.html", code=1)[1]
    assert said.startswith(f"tedm: the methods in {tmp_path / 'e'} are damaged (the method tedm has no label)")


def test_inspect_tells_what_a_head_was_fitted_with(evaluated: Path, variants: Path) -> None:
    """The timesteps are the head's, not the store's, and the batch is that of the fit, not the method's."""
    about = json.loads(run(inspect.main, evaluated / "timestep1-1", "--json")[0])
    assert about["timesteps"] == [1]
    assert about["features"]["timesteps"] == [1, 50]
    assert about["classifier"]["max_iter"] == 20
    text = run(inspect.main, evaluated / "timestep1-1")[0]
    assert re.search(r"^timesteps +1$", text, re.M)
    assert re.search(r"^features timesteps +1, 50$", text, re.M)
    about = json.loads(run(inspect.main, variants / "two", "--json")[0])
    assert about["classifier"]["pixels_per_batch"] == 64
    assert about["head"] == str(variants / "two")
    assert "512" not in json.dumps(about)
    text = run(inspect.main, variants / "two")[0]
    assert re.search(r"^classifier pixels per batch +64$", text, re.M)
    assert re.search(r"^classifier kind +mlp$", text, re.M)
    assert re.search(r"^name +mine$", run(inspect.main, variants / "named")[0], re.M)


@pytest.mark.parametrize("kind", ["mlp", "logistic", "xgboost", "sklearn:tree.DecisionTreeClassifier"])
def test_nothing_of_a_head_overwrites_anything(evaluated: Path, tmp_path: Path, kind: str) -> None:
    run(fit.main, evaluated / "store", tmp_path / "h", "--timesteps", "1,50", "--head", kind, "--iterations", 1)
    about = json.loads(run(inspect.main, tmp_path / "h", "--json")[0])
    saved = json.loads((tmp_path / "h" / "head.json").read_text())
    report = saved["provenance"].pop("fit")
    told = saved["provenance"] | report["details"] | {title: report[title] for title in ("iterations", "converged")}
    del told["fingerprints"]
    assert {title: about["fit"].get(title) for title in told} == told
    assert {"kind": kind, **saved["parameters"]} == about["classifier"]
    assert saved["settings"].items() <= about["features"].items()
    assert about["head"] == str(tmp_path / "h")
    assert {title: about[title] for title in ("timesteps", "rows", "members", "vote")} == {
        title: saved["method"][title] for title in ("timesteps", "rows", "members", "vote")
    }


def test_a_rising_loss_is_said_to_rise(evaluated: Path, tmp_path: Path) -> None:
    assert course(-0.8) == "rising by 80.0 %"
    assert course(0.8) == "falling by 80.0 %"
    assert course(0.0) == course(-0.0004) == "unchanged"
    risen = set()
    for iterations, rate in ((20, "0.01"), (3, "30")):
        options = (*QUICK, "--learning-rate", rate, "--iterations", iterations)
        out, _ = run(fit.main, evaluated / "store", tmp_path / rate, *options)
        fall = load_head(tmp_path / rate).provenance.report.fall
        assert f"({course(fall)} in its last tenth)" in out
        assert "by -" not in out
        risen.add(fall < 0)
    assert risen == {True, False}


def test_a_name_that_cannot_stand_in_a_table_is_refused_before_fitting(evaluated: Path, tmp_path: Path) -> None:
    _, said = run(fit.main, evaluated / "store", tmp_path / "h", *QUICK, "--name", "", code=1)
    assert "cannot stand in a table" in said
    assert "fitting" not in said
