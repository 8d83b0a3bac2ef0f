"""tedm-inspect: a checkpoint, a store and a head."""

from __future__ import annotations

import json
import shutil

from click.testing import CliRunner

from tedm.cli import extract, inspect, label
from tedm.store import FeatureStore

COMMANDS = {"extract": extract.main, "inspect": inspect.main, "label": label.main}
QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    """Run a command; its stdout and stderr. A traceback is a failure whatever the code."""
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_each_thing_can_be_inspected(extracted, fitted, checkpoint):
    assert "level1, channels 8, stride 1" in run("inspect", extracted).output
    assert ["rows", "share"] in [line.split() for line in run("inspect", fitted).output.splitlines()]
    assert "cosine, 1000 timesteps" in run("inspect", checkpoint).output
    assert '"family": "tedm"' in run("inspect", checkpoint, "--json").output


def test_names_of_classes_go_from_extract_and_label_into_the_store(dataset, checkpoint, tmp_path):
    """From --class-names, and from a table classes.csv beside the images, which --class-names outdoes."""
    manifest = tmp_path / "data" / "manifest.csv"
    shutil.copytree(dataset.parent, manifest.parent)
    (manifest.parent / "classes.csv").write_text("value,name,colour\n0,background,#000000\n255,blob,#ff8000\n")
    store, quick = tmp_path / "store", ["--timesteps", "1", "--layout", "native", *QUICK]
    run("extract", manifest, store, "--checkpoint", checkpoint, *quick)
    assert json.loads(run("inspect", store, "--json").stdout)["class names"] == ["background", "blob"]
    assert FeatureStore.open(store).labels.class_colours == ("#000000", "#ff8000")
    run("label", store, manifest, "--class-names", "0=not lung,255=left lung")
    assert json.loads(run("inspect", store, "--json").stdout)["class names"] == ["not lung", "left lung"]
    assert "0 (not lung), 255 (left lung)" in run("inspect", store).output
