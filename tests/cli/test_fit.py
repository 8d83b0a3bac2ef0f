"""tedm-fit: what cannot be learned from."""

from __future__ import annotations

import re
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from tedm.cli import extract, fit, inspect, label, predict
from tedm.heads import load_head
from tedm.store import FeatureStore, Registration

COMMANDS = {"extract": extract.main, "fit": fit.main, "inspect": inspect.main, "label": label.main}
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
    quick = ["--method", "tedm", "--timesteps", "1", "--iterations", 2]
    said = run("fit", copy, tmp_path / "one", "--images", 2, *quick)
    assert "note: 2 images of 1 patient of 2: " in said.stderr
    assert "--groups counts patients" in said.stderr
    done = run("fit", copy, tmp_path / "both", "--groups", 2, *quick)
    assert "note" not in done.stderr
    assert "from 4 images of 2 groups" in done.stdout
    assert "there are only 2 to choose from" in run("fit", copy, tmp_path / "more", "--groups", 3, *quick, code=1).stderr


def test_a_fit_as_published_says_what_it_cannot_set_and_is_inspected_as_such(extracted, tmp_path):
    copy, head, few = tmp_path / "store", tmp_path / "head", ["--timesteps", "1,50", "--iterations", 3, "--device", "cpu"]
    shutil.copytree(extracted, copy)
    said = run("fit", copy, head, "--as-published", *few, code=1).stderr
    assert "--as-published needs labelled images of split 'val', and there are none; add some with tedm-label" in said
    store = FeatureStore.open(copy)
    store.relabel([Registration("scan 0", "val", "", "", (0, 0), None)], store.labels.classes)
    done = run("fit", copy, head, "--method", "ledm", "--as-published", "--images", 2, "--seed", 5, *few)
    assert done.stdout.startswith(f"{head}: ledm as published (mlp, rows concatenate, 2 timesteps) from 2 images, ")
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: the published code ")]
    assert [next(word for word in note.split() if word.startswith("--")) for note in notes[:3]] == [
        "--input-range=0,1",
        "--geometry",
        "--draws",
    ]
    told = run("inspect", head).stdout
    assert re.search("^as published +True$", told, re.MULTILINE)
    assert re.search("^fit order +manifest$", told, re.MULTILINE)
    listed, drawn = tmp_path / "listed", tmp_path / "drawn"
    run("fit", copy, listed, "--images", 2, "--seed", 5, "--order", "manifest", *few)
    run("fit", copy, drawn, "--images", 2, "--seed", 5, *few)
    images = [load_head(folder).provenance.images for folder in (head, listed, drawn)]
    assert images[0] == images[1] == ["scan 1", "scan 2"] != images[2]
    told = run("inspect", drawn).stdout
    assert "as published" not in told
    assert re.search("^fit order +seed$", told, re.MULTILINE)


def test_options_that_do_not_go_with_published_methods_are_refused(extracted, tmp_path):
    refused = {
        ("--head", "logistic"): "tedm-logistic has no published setting; leave out --as-published, or choose one of tedm, ledm",
        ("--pixels-per-batch", 8): "tedm as published learns from whole images; add --batch pixels, or give --images-per-batch",
        ("--method", "tedn"): "there is no method 'tedn'",
        ("--method", ""): "there is no method ''; choose one of",
    }
    for given, message in refused.items():
        said = run("fit", extracted, tmp_path / "head", "--as-published", "--timesteps", "1,50", *given, code=1).stderr
        assert message in said
    assert "'random' is not one of" in run("fit", extracted, tmp_path / "head", "--order", "random", code=2).stderr
    done = run("fit", extracted, tmp_path / "probe", "--method", "timestep:50", "--as-published", "--iterations", 2)
    assert "note: timestep:50 is fitted as without --as-published: the published code computes a standardisation" in done.stderr


def test_weights_to_start_from_are_named_with_checkpoint_and_predict_without_a_backbone(
    extracted: Path, checkpoint: Path, dataset: Path, tmp_path: Path
) -> None:
    asked = ["--method", "ddpm-finetune", "--images", 2, "--iterations", 2, "--device", "cpu"]
    said = run("fit", extracted, tmp_path / "head", *asked, "--checkpoint", checkpoint).stdout
    assert "ddpm-finetune (unet, looks at images) from 2 images, 2 iterations" in said
    started = load_head(tmp_path / "head").provenance.report.details["start"]
    assert started == {"objective": "diffusion", "sha256": sha256(checkpoint.read_bytes()).hexdigest()}
    masks = CliRunner().invoke(predict.main, [str(each) for each in (tmp_path / "head", dataset, tmp_path / "masks")])
    assert masks.exit_code == 0, masks.output
    assert len(list((tmp_path / "masks").glob("*.png"))) == len(FeatureStore.open(extracted).labels.select(split="test"))
    for arguments, message in (
        (asked, "name one with --checkpoint FILE"),
        ([*asked, "--checkpoint", tmp_path / "nothing.pt"], "nothing.pt"),
        (["--method", "tedm", "--timesteps", "1,50", "--checkpoint", checkpoint], "starts from none; leave it out"),
    ):
        refused = run("fit", extracted, tmp_path / "other", *arguments, code=1)
        assert message in refused.stderr
        assert not (tmp_path / "other").exists()


def test_a_fit_without_a_method_is_a_jury_and_says_what_that_is(
    extracted: Path, dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    copy, quick = tmp_path / "store", ["--timesteps", "1,50", "--iterations", 2, "--images", 2]
    shutil.copytree(extracted, copy)
    done = run("fit", copy, tmp_path / "without", *quick)
    made = "jury: 10 classifiers, 2 timesteps side by side, learn from the images"
    also = " (from 200 images on 3), and a network from the images alone; both vote; specks are dropped"
    assert made + also in done.stderr
    assert "; --method chooses another" in done.stderr
    assert "note: no views of training images here; from few labels 8 give better masks: the same tedm-extract" in done.stderr
    assert f"{tmp_path / 'without'}: jury (committee, rows concatenate, 2 timesteps) from 2 images" in done.stdout
    head = load_head(tmp_path / "without")
    assert (head.method.views, head.method.smoothing, head.method.specks) == (0, 0.0, 0.1)
    assert (head.method.sampling, head.provenance.sampling) == ("root", "root")
    same = ["--checkpoint", checkpoint, "--timesteps", "1,50", "--layout", "native", *QUICK]
    run("extract", dataset, copy, *same, "--views", 3)
    done = run("fit", copy, tmp_path / "with", *quick)
    assert f"{made} and 3 views of each{also}" in done.stderr
    done = run("fit", copy, tmp_path / "alone", *quick, "--learning-rate", 1e-3)
    assert f"{made} and 3 views of each and vote; specks are dropped" in done.stderr
    assert "note: 3 views of training images here; from few labels 8 give better masks" in done.stderr
    assert load_head(tmp_path / "with").method.views == 3
    assert "has 3 views, and 4 are asked for" in run("fit", copy, tmp_path / "more", *quick, "--views", 4, code=1).stderr


@pytest.mark.parametrize(
    "asked",
    [
        ["--members", 3],
        ["--rows", "share"],
        ["--head", "logistic"],
        ["--vote", "hard"],
        ["--pixels-per-batch", 8],
        ["--params", '{"decay": true}'],
    ],
)
def test_what_is_asked_of_one_head_is_asked_of_tedm_where_no_method_is_named(
    asked: list[object], extracted: Path, tmp_path: Path
) -> None:
    done = run("fit", extracted, tmp_path / "head", "--timesteps", "1,50", "--iterations", 2, *asked)
    assert f"{tmp_path / 'head'}: tedm" in done.stdout
    assert "jury" not in done.stdout + done.stderr
