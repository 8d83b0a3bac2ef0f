"""tedm-fit: what cannot be learned from."""

from __future__ import annotations

import shutil
from pathlib import Path

from click.testing import CliRunner
from PIL import Image

from tedm.cli import fit, label
from tedm.store import FeatureStore, Registration

COMMANDS = {"fit": fit.main, "label": label.main}
QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    """Run a command; its stdout and stderr. A traceback is a failure whatever the code."""
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def tree(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_one_class_only_and_no_labelled_pixel_are_said(extracted, dataset, bad, tmp_path):
    for mask in (bad / "masks").iterdir():
        with Image.open(mask) as picture:
            size = picture.size
        Image.new("L", size, 255).save(mask)
    copy = tmp_path / "store"
    shutil.copytree(extracted, copy)
    run("label", copy, bad, "--classes", "0,255")
    assert "have one class (mask value 255)" in run("fit", copy, tmp_path / "head", "--timesteps", "1,50", code=1).stderr
    run("label", copy, dataset, "--classes", "0,255")
    run("fit", copy, tmp_path / "head", "--timesteps", "1", "--iterations", 2)


def test_groups_are_an_option_and_images_of_few_patients_are_said(extracted, tmp_path):
    copy = tmp_path / "store"
    shutil.copytree(extracted, copy)
    store = FeatureStore.open(copy)
    slices = [Registration(f"scan {at}", "train", group, "", (0, 0), None) for at, group in enumerate("aabb")]
    store.relabel(slices, store.labels.classes)
    quick = ["--timesteps", "1", "--iterations", 2]
    said = run("fit", copy, tmp_path / "one", "--images", 2, *quick)
    assert "note: 2 images of 1 patient of 2: " in said.stderr
    assert "--groups counts patients" in said.stderr
    done = run("fit", copy, tmp_path / "both", "--groups", 2, *quick)
    assert "note" not in done.stderr
    assert "from 4 images of 2 groups" in done.stdout
    assert "there are only 2 to choose from" in run("fit", copy, tmp_path / "more", "--groups", 3, *quick, code=1).stderr
