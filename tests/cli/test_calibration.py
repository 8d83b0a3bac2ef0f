"""Calibration and weighted votes by command, from a fit to a diagram."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tedm.cli import evaluate, extract, fit, inspect, predict

QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    result = CliRunner().invoke(command.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def store(dataset, checkpoint, tmp_path_factory):
    """Two images to learn from, two to validate on, three to test on."""
    folder = tmp_path_factory.mktemp("calibration")
    shutil.copytree(dataset.parent, folder / "data")
    rows = dataset.read_text().replace("scan 2.png,train", "scan 2.png,val").replace("scan 3.png,train", "scan 3.png,val")
    (folder / "data" / "manifest.csv").write_text(rows)
    run(extract, folder / "data" / "manifest.csv", folder / "store", "--checkpoint", checkpoint, "--timesteps", "1,50", *QUICK)
    return folder / "store"


@pytest.fixture(scope="module")
def head(store):
    path = store.parent / "head"
    options = ["--timesteps", "1,50", "--iterations", 40, "--vote", "learned", "--calibrate", "--device", "cpu"]
    said = run(fit, store, path, *options).stderr
    assert "weights learned on 2 images of the val split: cross-entropy" in said
    assert "temperature" in said
    return path


def test_a_calibrated_head_is_measured_and_drawn(store, head, tmp_path):
    plain = run(evaluate, store, head, "--device", "cpu").stdout
    run(fit, store, tmp_path / "probe", "--method", "timestep:1")
    out = tmp_path / "calibration"
    printed = run(evaluate, store, head, tmp_path / "probe", "--calibration", out, "--device", "cpu").stdout
    assert sorted(path.name for path in out.iterdir()) == ["ece.csv", "reliability.csv", "reliability.png"]
    for row in csv.DictReader((out / "ece.csv").read_text().splitlines()):
        assert f"{row['head']}, {row['domain']}: expected calibration error" in printed
        assert f"{float(row['ece']):.4f}" in printed
        assert row["stage"] == "before" or row["head"] == str(head)
    assert f"{head}, here: expected calibration error" in printed
    assert "after temperature" in printed
    assert "expected calibration error" not in plain
    with Image.open(out / "reliability.png") as picture:
        assert np.asarray(picture).std() > 0
    again = run(evaluate, store, head, "--calibration", out, code=1)
    assert "is not empty" in again.stderr


def test_masks_of_a_calibrated_head_are_those_of_the_same_head_without(store, head, tmp_path):
    options = ["--timesteps", "1,50", "--iterations", 40, "--vote", "learned", "--device", "cpu"]
    run(fit, store, tmp_path / "bare", *options)
    for name, path in (("after", head), ("before", tmp_path / "bare")):
        run(predict, path, store, tmp_path / name, "--device", "cpu", "--probabilities")
    changed = []
    for path in sorted(path for path in (tmp_path / "before").iterdir() if path.name != "prediction.json"):
        same = path.read_bytes() == (tmp_path / "after" / path.name).read_bytes()
        assert same or path.suffix == ".npy", path.name
        changed += [path.name] * (not same)
    assert len(changed) == 3


def test_a_temperature_that_is_not_applied_is_said(store, head, tmp_path):
    note = "is not applied: it was fitted for the learned vote"
    assert note in run(predict, head, store, tmp_path / "soft", "--vote", "soft", "--device", "cpu").stderr
    assert note in run(evaluate, store, head, "--timesteps", "1", "--device", "cpu").stderr
    assert note not in run(evaluate, store, head, "--device", "cpu").stderr


def test_a_vote_that_a_head_cannot_hold_is_refused_and_nothing_is_written(store, head, dataset, checkpoint, tmp_path):
    run(fit, store, tmp_path / "plain", "--timesteps", "1,50", "--iterations", 2, "--device", "cpu")
    out = tmp_path / "masks"
    assert "has no learned weights" in run(predict, tmp_path / "plain", store, out, "--vote", "learned", code=1).stderr
    assert "has no learned weights" in run(evaluate, store, tmp_path / "plain", "--vote", "learned", code=1).stderr
    other = tmp_path / "other"
    run(extract, dataset, other, "--checkpoint", checkpoint, "--timesteps", "1,50,200", *QUICK)
    assert "none for 200" in run(predict, head, other, out, "--timesteps", "1,200", code=1).stderr
    assert not out.exists()
    for option in (["--calibrate"], ["--vote", "learned"]):
        refused = run(fit, other, out, "--timesteps", "1,50", *option, code=1).stderr
        assert f"tedm: {' '.join(option)} needs labelled images of split 'val', and there are none" in refused
        assert "fitting" not in refused
    assert not out.exists()


def test_inspect_shows_the_temperature_and_the_weights(head):
    shown = run(inspect, head).stdout
    assert "temperature" in shown
    assert "timesteps" in shown.partition("learned weights")[2].splitlines()[0]


def test_labels_from_the_val_split_are_in_the_table(store, head):
    assert "labels used, val included: 4" in run(evaluate, store, head, "--device", "cpu").stdout
