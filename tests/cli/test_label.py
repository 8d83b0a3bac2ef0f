"""tedm-label: masks and splits that come later."""

from __future__ import annotations

import re
import shutil

from click.testing import CliRunner
from PIL import Image
from trees import tree

from tedm.cli import extract, fit, label
from tedm.store import FeatureStore

COMMANDS = {"extract": extract.main, "fit": fit.main, "label": label.main}
QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    """Run a command; its stdout and stderr. A traceback is a failure whatever the code."""
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_labels_can_come_later(dataset, checkpoint, tmp_path):
    store = tmp_path / "store"
    run("extract", dataset.parent / "images", store, "--checkpoint", checkpoint, "--timesteps", "1", *QUICK)
    assert "no split: 7 (0 labelled)" in run("fit", store, tmp_path / "head", "--timesteps", "1", code=1).stderr
    run("label", store, dataset)
    run("fit", store, tmp_path / "head", "--method", "timestep:1")


def test_a_new_mask_leaves_alone_what_is_not_said_and_tears_no_patient_apart(dataset, checkpoint, tmp_path):
    store = tmp_path / "store"
    run("extract", dataset, store, "--checkpoint", checkpoint, "--timesteps", "1", *QUICK)
    before = FeatureStore.open(store).labels
    manifest = tmp_path / "new.csv"
    images, masks = dataset.parent / "images", dataset.parent / "masks"
    manifest.write_text(f"image,mask\n{images}/scan 5.png,{masks}/scan 5.png\n")
    run("label", store, manifest)
    assert FeatureStore.open(store).labels == before  # still for testing, of its patient and domain
    manifest.write_text("image,split,patient\nscan 5.png,test,p0\n")
    refused = run("label", store, manifest, code=1).stderr
    assert "scan 5: group p0 would be in test, and scan 0, of the same group, is in train" in refused
    assert FeatureStore.open(store).labels == before
    manifest.write_text("image,split,patient\nscan 5.png,train,p0\n")
    run("label", store, manifest)
    after = FeatureStore.open(store).labels
    assert (after.splits[5], after.groups[5], after.domains[5]) == ("train", "p0", before.domains[5])


def test_soft_masks_are_refused_and_a_threshold_reads_them_with_the_classes_said(dataset, checkpoint, bad, tmp_path):
    store = tmp_path / "store"
    run("extract", dataset, store, "--checkpoint", checkpoint, "--timesteps", "1", *QUICK)
    for path in (bad / "masks").iterdir():
        with Image.open(path) as mask:
            mask.resize((60, 60), Image.Resampling.BICUBIC).resize(mask.size, Image.Resampling.BILINEAR).save(path)
    before = FeatureStore.open(store).labels
    assert "soft edges in 7 masks" in run("label", store, bad, code=1).stderr
    assert FeatureStore.open(store).labels == before
    said = run("label", store, bad, "--threshold", "128", "--classes", "0,255").stderr
    assert re.search(r"classes in the masks: 0 \([\d,]+ pixels in 7 images\), 255 \([\d,]+ pixels in 7 images\)", said)
    after = FeatureStore.open(store).labels
    assert (after.classes, after.labelled) == (before.classes, before.labelled)


def test_a_column_that_is_not_read_is_said_and_refused_if_strict(dataset, extracted, tmp_path):
    store, manifest = tmp_path / "store", tmp_path / "new.csv"
    shutil.copytree(extracted, store)
    manifest.write_text("image,subset\nscan 5.png,test\n")
    assert "subset (did you mean split?)" in run("label", store, manifest, "--strict", code=1).stderr
    before = tree(store)
    nothing = run("label", store, manifest, code=1).stderr
    assert "says nothing of the images in" in nothing
    assert "subset (did you mean split?)" in nothing
    assert tree(store) == before
    manifest.write_text("image,subset,domain\nscan 5.png,test,elsewhere\nscan 4.png,test,\n")
    done = run("label", store, manifest)
    assert "note: " in done.stderr
    assert "1 image relabelled" in done.stdout
