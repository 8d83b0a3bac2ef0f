"""One place for every rule, seen from the commands: means and intervals, images compared, leaks, variants, inspection."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tedm.cli import evaluate, extract, fit, inspect, probe, report
from tedm.heads import calibrate, load_head, read_records, summarise
from tedm.store import FeatureStore

QUICK = ["--precision", "float32", "--threads", 1, "--device", "cpu", "--layout", "native", "--timesteps", "1,50"]


def call(main: object, *arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])  # type: ignore[arg-type]


def run(main: object, *arguments: object) -> str:
    result = call(main, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def write_scores(path: Path, rows: Iterable[tuple[str, int, str, float, float, float]]) -> Path:
    """Write scores of one class: method, seed, image, Dice, precision, recall."""
    columns = [
        "method",
        "n",
        "seed",
        "domain",
        "split",
        "image",
        "group",
        "class_value",
        "dice",
        "precision",
        "recall",
        "iou",
        "labels_used",
        "resolution",
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for method, seed, image, dice, precision, recall in rows:
        for value, scores in ((0, (0.99, 0.99, 0.99)), (255, (dice, precision, recall))):
            writer.writerow([method, 6, seed, "here", "test", image, image, value, *scores, scores[0], 6, "feature"])
    path.write_text(out.getvalue())
    return path


NOTHING, FALSE_POSITIVE, GOOD = (np.nan, np.nan, np.nan), (0.0, 0.0, np.nan), (0.9, 0.9, 0.9)


def test_the_interval_of_a_report_is_one_of_the_mean_that_stands_beside_it(evaluated, tmp_path):
    """Five slices are empty, and one seed of five sees something in them."""
    shutil.copytree(evaluated / "evaluation", tmp_path / "e")
    rows = []
    for seed in range(5):
        rows += [("tedm", seed, f"full {k}", *GOOD) for k in range(5)]
        rows += [("tedm", seed, f"empty {k}", *(NOTHING if seed else FALSE_POSITIVE)) for k in range(5)]
    write_scores(tmp_path / "e" / "records.csv", rows)
    (mean,) = [cell.mean for cell in summarise(read_records(tmp_path / "e" / "records.csv")).cells]
    run(report.main, tmp_path / "e", "--out", tmp_path / "report.html")
    page = re.sub(r"<[^>]+>", " ", (tmp_path / "report.html").read_text())
    told = re.search(r"\btedm\s+6\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)", page)
    assert told is not None
    shown, low, high = map(float, told.groups())
    assert shown == pytest.approx(mean, abs=0.05)
    assert low <= shown <= high


def test_two_methods_are_averaged_over_the_same_slices(tmp_path):
    """One of them is wrong on 51 empty slices of 201, which must not leave it with other images than the other."""
    rows = []
    for k in range(201):
        empty = k < 51
        rows.append(("careful", 0, f"{k:03}", *(NOTHING if empty else (0.5, 0.5, 0.5))))
        rows.append(("eager", 0, f"{k:03}", *(FALSE_POSITIVE if empty else (0.6, 0.6, 0.6))))
    table = summarise(read_records(write_scores(tmp_path / "scores.csv", rows)))
    assert {cell.method: (cell.images, cell.left_out) for cell in table.cells} == dict.fromkeys(("careful", "eager"), (150, 51))
    assert {cell.method: round(cell.mean, 1) for cell in table.cells} == {"careful": 50.0, "eager": 60.0}
    assert "150 of 201 images" in table.to_text()


@pytest.fixture(scope="module")
def store(checkpoint, write_images, tmp_path_factory) -> Path:
    """Three images to learn from, two to choose on and three to test on."""
    folder = tmp_path_factory.mktemp("rules")
    manifest = write_images(folder / "a", train=5, test=3)
    text = manifest.read_text().splitlines()
    manifest.write_text(
        "\n".join(line.replace(",train,", ",val,") if "scan 3" in line or "scan 4" in line else line for line in text)
    )
    run(extract.main, manifest, folder / "store", "--checkpoint", checkpoint, *QUICK)
    return folder / "store"


@pytest.mark.parametrize("option", ["--split", "--test"])
def test_a_probe_does_not_choose_on_what_it_learns_from_or_is_scored_on(store, option):
    result = call(probe.main, store, option, "val", "--sizes", "all", "--repeats", 1, "--processes", 1)
    assert result.exit_code == 1
    assert re.search(r"chosen on|choose", result.output)


def test_a_head_is_calibrated_in_a_store_without_its_training_images(store, checkpoint, write_images, tmp_path):
    run(fit.main, store, tmp_path / "head", "--method", "timestep:1")
    manifest = write_images(tmp_path / "other", train=0, test=2)
    for picture in (tmp_path / "other" / "images").iterdir():
        grey = np.asarray(Image.open(picture)).astype(np.uint8)
        Image.fromarray(255 - grey).save(picture)
    manifest.write_text(manifest.read_text().replace(",test,", ",val,").replace(",p", ",q"))
    run(extract.main, manifest, tmp_path / "store", "--checkpoint", checkpoint, *QUICK)
    calibrated = calibrate(load_head(tmp_path / "head"), FeatureStore.open(tmp_path / "store"))
    assert calibrated.calibration is not None


def test_other_pictures_under_the_same_names_are_scored_and_the_same_picture_under_another_is_not(
    store, checkpoint, write_images, tmp_path
):
    run(fit.main, store, tmp_path / "head", "--method", "timestep:1")
    for kind in ("elsewhere", "copies"):
        manifest = write_images(tmp_path / kind, train=3, test=0)
        lines = manifest.read_text().replace(",train,", ",test,").splitlines()
        lines[1:] = [
            line.replace(",p", f",{kind}").replace(",here", f",{kind}").replace(",there", f",{kind}") for line in lines[1:]
        ]
        for number, picture in enumerate(sorted((tmp_path / kind / "images").iterdir())):
            if kind == "elsewhere":
                Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture)
            else:
                picture.rename(picture.with_name(f"copy {number}.png"))
                (tmp_path / kind / "masks" / picture.name).rename(tmp_path / kind / "masks" / f"copy {number}.png")
                lines = [line.replace(picture.stem, f"copy {number}") for line in lines]
        manifest.write_text("\n".join(lines))
        run(extract.main, manifest, tmp_path / f"{kind} store", "--checkpoint", checkpoint, *QUICK)
    assert "timestep:1" in run(evaluate.main, tmp_path / "elsewhere store", tmp_path / "head")
    refused = call(evaluate.main, tmp_path / "copies store", tmp_path / "head")
    assert refused.exit_code == 1
    assert "copy 0" in refused.output


def test_variants_of_a_method_stand_in_one_table_and_a_clash_is_found_before_any_work(store, tmp_path):
    for name, members in (("one", 1), ("two", 2)):
        run(fit.main, store, tmp_path / name, "--timesteps", "1,50", "--members", members, "--iterations", 3)
    table = run(evaluate.main, store, tmp_path / "one", tmp_path / "two")
    assert re.search(r"^tedm  ", table, re.M)
    assert "tedm, members 2" in table
    shutil.copytree(tmp_path / "one", tmp_path / "again")
    clash = call(evaluate.main, store, tmp_path / "one", tmp_path / "again")
    assert clash.exit_code == 1
    assert "evaluating" not in clash.output
    assert str(tmp_path / "again") in clash.output
    run(fit.main, store, tmp_path / "named", "--timesteps", "1,50", "--iterations", 3, "--name", "my own")
    assert "my own" in run(evaluate.main, store, tmp_path / "one", tmp_path / "named")


def test_a_head_is_inspected_as_it_was_fitted_and_a_rising_loss_is_said_to_rise(store, tmp_path):
    run(fit.main, store, tmp_path / "probe", "--method", "timestep:1")
    assert json.loads(run(inspect.main, tmp_path / "probe", "--json"))["timesteps"] == [1]
    options = ["--timesteps", "1,50", "--pixels-per-batch", 64, "--iterations", 20, "--learning-rate", 30]
    said = run(fit.main, store, tmp_path / "mlp", *options)
    assert "512" not in re.findall(r"pixels.per.batch.*", run(inspect.main, tmp_path / "mlp"))[0]
    assert "falling by -" not in said
    losses = json.loads((tmp_path / "mlp" / "head.json").read_text())["provenance"]
    curve = (losses.get("fit") or losses)["loss_curve"]
    assert ("rising by" in said) == (np.mean(curve[-2:]) > np.mean(curve[-4:-2]))
