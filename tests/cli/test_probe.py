"""tedm-probe: what it prints, what it writes, and that each number of a figure is in the table beside it."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tedm.cli import extract, label, probe
from tedm.heads.metrics.bootstrap import interval
from tedm.study.report.result import read_result


def run(command, *arguments, code=0):
    result = CliRunner().invoke(command.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def store(write_images, checkpoint, tmp_path_factory):
    """Nine images at two timesteps: five to learn from, one to choose by, three in two domains to be scored on."""
    folder = tmp_path_factory.mktemp("probe")
    manifest = write_images(folder / "images", train=6, test=3)
    rows = list(csv.reader(io.StringIO(manifest.read_text())))
    rows[6][2] = "val"
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    run(extract, manifest, folder / "store", "--checkpoint", checkpoint, "--timesteps", "1,50", "--device", "cpu")
    return folder / "store"


@pytest.fixture(scope="module")
def probed(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("probed") / "out"
    printed = run(probe, store, "--out", out, "--sizes", "1,3", "--repeats", "2", "--by", "timestep,level")
    return out, printed


def table(out: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / name).read_text())))


def test_what_it_writes_is_a_result(probed):
    out, printed = probed
    result = read_result(out)
    assert result.kind == "probe"
    assert [figure.file for figure in result.figures] == [
        *(f"timesteps-{metric}.png" for metric in ("dice", "precision", "recall")),
        *("levels-1.png", "levels-3.png", "votes.png"),
    ]
    for figure in result.figures:
        with Image.open(out / figure.file) as picture:
            assert picture.size[0] > 300
    about = dict(result.about)
    assert about["command"].startswith("tedm-probe ")
    assert "--sizes 1,3" in about["command"]
    assert all(paragraph in printed.stdout for paragraph in result.words)
    assert "here (test), 1 image\n" in printed.stdout
    assert about["empty truth"].startswith("leave-out: ")
    assert not out.with_name(f".{out.name}.probes").exists()


def test_numbers_of_the_figures_follow_from_the_scores_of_every_image(probed):
    out, _ = probed
    with gzip.open(out / "scores.csv.gz", "rt") as file:
        scores = list(csv.DictReader(file))

    def rows(of, **wanted):
        found = [row for row in of if all(row[key] == value for key, value in wanted.items())]
        assert found
        return found

    at = {"n": "3", "domain": "there"}
    (point,) = rows(table(out, "timesteps-dice.csv"), **at, timestep="50")
    mine = rows(scores, **at, split="test", probe="timestep:50")
    dice = np.array([[float(r["dice"]) for r in mine if r["repeat"] == repeat] for repeat in ("0", "1")])
    found = interval(dice, [r["group"] for r in mine if r["repeat"] == "0"])
    assert float(point["mean"]) == pytest.approx(100 * found.mean)
    assert [float(point["low"]), float(point["high"])] == pytest.approx([100 * found.low, 100 * found.high])

    (level,) = rows(table(out, "levels-1.csv"), domain="there", level="level1")
    mine = rows(scores, n="1", domain="there", split="test", probe="timestep:50/level1")
    assert float(level["50"]) == pytest.approx(100 * np.mean([float(r["dice"]) for r in mine]))

    (first,) = rows(table(out, "votes.csv"), **at, split="test", voters="1")
    (vote,) = rows(table(out, "votes.csv"), **at, split="test", voters="2")
    mine = rows(scores, **at, split="test", probe="vote", timesteps="1+50")
    assert float(vote["mean"]) == pytest.approx(100 * np.mean([float(r["dice"]) for r in mine]))
    assert float(vote["gain"]) == pytest.approx(float(vote["mean"]) - float(first["mean"]))
    assert float(vote["cost"]) == 1.0


def test_the_same_command_gives_the_same_bytes(store, probed, tmp_path):
    out, _ = probed
    run(probe, store, "--out", tmp_path / "again", "--sizes", "1,3", "--repeats", "2", "--by", "timestep,level")
    for file in out.iterdir():
        if file.name != "result.json":  # it says what the folder was called
            assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


def test_the_convention_for_empty_truths_is_said_in_the_folder(store, tmp_path):
    run(probe, store, "--sizes", "1", "--repeats", "1", "--by", "level", "--empty-truth", "count", "--out", tmp_path / "out")
    assert dict(read_result(tmp_path / "out").about)["empty truth"].startswith("count: ")
    assert {row["left_out"] for row in table(tmp_path / "out", "points.csv")} == {"0"}


def test_without_out_it_prints_and_writes_nothing(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run(probe, store, "--sizes", "1", "--repeats", "3", "--order", "manifest", "--by", "level")
    assert "2 probes on 1 subset of n = 1 " in printed.stdout
    assert "level:level0" in printed.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sizes", "1,40"], "--sizes asks for 40 training images and split 'train' has 5 with a mask"),
        (["--sizes", "0"], "are no numbers of images"),
        (["--by", "draw"], "is not one of"),
        (["--memory", "10MB"], "the least that would do is --memory"),
        (["--split", "val", "--sizes", "1", "--test", "val"], "to be learned from and chosen on"),
    ],
)
def test_bad_input_is_one_clear_line(store, options, message):
    result = CliRunner().invoke(probe.main, [str(store), *options])
    assert result.exit_code in (1, 2)
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_place_that_is_taken_is_refused_before_any_work(store, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    printed = run(probe, store, "--out", tmp_path / "out", code=1)
    assert "exists and is not empty" in printed.output


def test_a_store_without_masks_says_how_to_add_them(checkpoint, dataset, tmp_path):
    rows = [[row["image"], row["split"]] for row in csv.DictReader(io.StringIO(dataset.read_text()))]
    manifest = tmp_path / "manifest.csv"
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([["image", "split"], *([str(dataset.parent / image), split] for image, split in rows)])
    run(extract, manifest, tmp_path / "store", "--checkpoint", checkpoint, "--timesteps", "1", "--device", "cpu")
    printed = run(probe, tmp_path / "store", code=1)
    assert "there is no labelled image of split 'train'" in printed.output
    assert "tedm-label" in printed.output
    run(label, tmp_path / "store", dataset)
    assert "timestep:1" in run(probe, tmp_path / "store", "--sizes", "1,3", "--repeats", "1").stdout
