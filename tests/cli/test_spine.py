"""The commands from images to a table, and what they say when something is wrong."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tedm.cli import evaluate, extract, fit, inspect, label, predict, pretrain
from tedm.store import FeatureStore

COMMANDS = {
    "extract": extract.main,
    "label": label.main,
    "fit": fit.main,
    "predict": predict.main,
    "evaluate": evaluate.main,
    "inspect": inspect.main,
    "pretrain": pretrain.main,
}
QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    """Run a command; its stdout and stderr. A traceback is a failure whatever the code."""
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def store(dataset, checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("spine") / "store"
    run("extract", dataset, path, "--checkpoint", checkpoint, "--timesteps", "1,50", "--layout", "native", *QUICK)
    return path


@pytest.fixture(scope="module")
def head(store):
    path = store.parent / "head"
    run("fit", store, path, "--timesteps", "1,50", "--iterations", 40, "--device", "cpu")
    return path


def tree(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def pictures(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_masks_come_out_at_the_images_own_sizes_and_values(store, head, dataset, checkpoint, tmp_path):
    run("predict", head, store, tmp_path / "from store", "--device", "cpu", "--probabilities")
    from_images = [dataset, tmp_path / "from images", "--checkpoint", checkpoint, "--device", "cpu", "--probabilities"]
    run("predict", head, *from_images)
    assert pictures(tmp_path / "from store") == pictures(tmp_path / "from images")
    for row in csv.DictReader(dataset.read_text().splitlines()):
        if row["split"] != "test":
            continue
        stem = Path(row["image"]).stem
        with Image.open(dataset.parent / row["mask"]) as truth, Image.open(tmp_path / "from store" / f"{stem}.png") as mask:
            assert mask.size == truth.size
            assert set(np.unique(mask)) <= {0, 255}
        probabilities = np.load(tmp_path / "from store" / f"{stem}.npy")
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    assert len(list((tmp_path / "from store").glob("*.png"))) == 3


def test_uncertainty_is_written_as_pictures_and_means(store, head, tmp_path):
    run("predict", head, store, tmp_path / "plain", "--device", "cpu")
    run("predict", head, store, tmp_path / "sure", "--device", "cpu", "--uncertainty")
    written, masks = pictures(tmp_path / "sure"), pictures(tmp_path / "plain")
    rows = list(csv.DictReader(written.pop("uncertainty.csv").decode().splitlines()))
    assert {f"{row['image']}.png" for row in rows} == set(masks)
    for row in rows:
        for kind in ("entropy", "disagreement"):
            with (
                Image.open(tmp_path / "sure" / f"{row['image']}-{kind}.png") as map_,
                Image.open(tmp_path / "plain" / f"{row['image']}.png") as mask,
            ):
                assert (map_.size, map_.mode) == (mask.size, "L")
            assert 0 < float(row[kind]) < 1
            del written[f"{row['image']}-{kind}.png"]
    assert written == masks


def test_a_table_is_printed_and_written(store, head, tmp_path):
    run("fit", store, tmp_path / "probe", "--method", "timestep:1", "--images", 2)
    result = run("evaluate", store, head, tmp_path / "probe", "--out", tmp_path / "t.csv", "--records", tmp_path / "r.csv")
    assert "tedm" in result.output
    assert "timestep:1" in result.output
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert {(row["domain"], row["method"], row["n"]) for row in rows} == {
        (domain, method, n) for domain in ("here", "there") for method, n in (("tedm", "4"), ("timestep:1", "2"))
    }
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 1 + 2 * 3 * 2
    for ending in ("md", "tex", "txt"):
        run("evaluate", store, head, "--by", "none", "--timesteps", 1, "--out", tmp_path / f"t.{ending}")
        assert "all" in (tmp_path / f"t.{ending}").read_text()


def test_each_thing_can_be_inspected(store, head, checkpoint):
    assert "level1, channels 8, stride 1" in run("inspect", store).output
    assert ["rows", "share"] in [line.split() for line in run("inspect", head).output.splitlines()]
    assert "cosine, 1000 timesteps" in run("inspect", checkpoint).output
    assert '"family": "tedm"' in run("inspect", checkpoint, "--json").output


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


def test_a_backbone_is_pretrained_and_used(dataset, tmp_path):
    small = ["--image-size", 16, "--width", 8, "--multipliers", "1,2", "--device", "cpu"]
    run("pretrain", dataset, tmp_path / "own.safetensors", *small, "--iterations", 3)
    assert "training iterations  3" in run("inspect", tmp_path / "own.safetensors").output
    run("extract", dataset, tmp_path / "store", "--checkpoint", tmp_path / "own.safetensors", "--timesteps", "1", *QUICK)
    assert (
        "is there already" in run("pretrain", dataset, tmp_path / "own.safetensors", *small, "--iterations", 3, code=1).output
    )


@pytest.fixture
def bad(dataset, tmp_path):
    """A copy of the dataset to break."""
    shutil.copytree(dataset.parent, tmp_path / "data", ignore=shutil.ignore_patterns("*.csv"))
    shutil.copy(dataset, tmp_path / "data" / "manifest.csv")
    return tmp_path / "data"


def test_all_problems_of_a_manifest_are_listed_before_any_work(bad, checkpoint, tmp_path):
    (bad / "images" / "scan 0.png").unlink()
    (bad / "images" / "scan 1.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(bad / "masks" / "scan 2.png")
    with (bad / "manifest.csv").open("a") as file:
        file.write("images/scan 3.png,masks/scan 3.png,train,p3,here\n")
    result = run("extract", bad, tmp_path / "store", "--checkpoint", checkpoint, "--classes", "0,255", code=1)
    for name in ("scan 0", "scan 1", "scan 2", "scan 3"):
        assert name in result.stderr
    assert not (tmp_path / "store").exists()
    values = run("extract", bad, tmp_path / "store", "--checkpoint", checkpoint, "--classes", "0,1", code=1)
    assert "255" in values.stderr


def test_what_cannot_be_used_is_refused_with_one_message(store, head, dataset, checkpoint, bad, tmp_path):
    out, images = tmp_path / "out", ["--checkpoint", checkpoint]
    (tmp_path / "noise.pt").write_bytes(bytes(range(256)) * 9)
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("precious")
    refusals = [
        (["extract", dataset, out, "--checkpoint", tmp_path / "noise.pt"], "noise.pt"),
        (["extract", dataset, out, *images, "--timesteps", "1,1000"], "1000"),
        (["extract", dataset, full, *images], "is not empty"),
        (["extract", dataset, store, *images, "--timesteps", "1,50", "--noise-seed", "7"], "noise seed"),
        (["extract", tmp_path / "nowhere", out, *images], "nowhere"),
        (["fit", store, full], "is not empty"),
        (["fit", store, out, "--timesteps", "1,200"], "not there: 200"),
        (["fit", store, out, "--method", "unet"], "no method"),
        (["fit", store, out, "--timesteps", "1,50", "--images", 5], "only 4"),
        (["fit", tmp_path / "nowhere", out], "does not exist"),
        (["fit", dataset.parent, out], "is no feature store"),
        (["predict", head, store, full], "is not empty"),
        (["predict", head, dataset, out], "--checkpoint FILE"),
        (["predict", head, store, out, "--timesteps", "800"], "800 not in"),
        (["predict", store, store, out], "is no head"),
        (["evaluate", store, head, "--split", "val"], "no labelled image of split 'val'"),
        (["evaluate", store, head, "--split", "train"], "would mean nothing"),
        (["evaluate", store, head, head], "named twice"),
        (["inspect", full], "neither a feature store nor a head"),
        (["label", store, bad, "--classes", "0,1"], "255"),
    ]
    for arguments, said in refusals:
        result = run(*arguments, code=1)
        assert said in result.stderr, (arguments, result.output)
        assert result.stderr.count("tedm: ") == 1
    assert (full / "thesis.tex").read_text() == "precious"
    assert list(full.iterdir()) == [full / "thesis.tex"]
    assert not out.exists()
    run("evaluate", store, head)  # the store is still whole


def test_another_backbone_than_the_heads_is_refused(head, dataset, tmp_path):
    from tedm.extract.backbones import random_backbone, save_backbone

    save_backbone(random_backbone(seed=1), tmp_path / "other.safetensors")
    result = run("predict", head, dataset, tmp_path / "out", "--checkpoint", tmp_path / "other.safetensors", code=1)
    assert "is not the backbone of this head" in result.stderr


def test_one_class_only_and_no_labelled_pixel_are_said(store, dataset, bad, tmp_path):
    for mask in (bad / "masks").iterdir():
        with Image.open(mask) as picture:
            size = picture.size
        Image.new("L", size, 255).save(mask)
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    run("label", copy, bad, "--classes", "0,255")
    assert "have one class (mask value 255)" in run("fit", copy, tmp_path / "head", "--timesteps", "1,50", code=1).stderr
    run("label", copy, dataset, "--classes", "0,255")
    run("fit", copy, tmp_path / "head", "--timesteps", "1", "--iterations", 2)


def test_a_shard_that_does_not_exist_is_wrong_usage(dataset, checkpoint, tmp_path):
    for nonsense in ("3/3", "1/0", "0/0", "-1/2", "a/b", "1", "1/2/3"):
        result = run("extract", dataset, tmp_path / "s", "--checkpoint", checkpoint, f"--shard={nonsense}", code=2)
        assert repr(nonsense) in result.stderr
    assert not (tmp_path / "s").exists()


def test_shards_end_in_the_bytes_of_one_run(store, dataset, checkpoint, tmp_path):
    options = ["--checkpoint", checkpoint, "--timesteps", "1,50", "--layout", "native", *QUICK]
    for part, count in (("1/2", 3), ("0/2", 4)):
        result = run("extract", dataset, tmp_path / "s", *options, "--shard", part)
        assert f"{count} images extracted, 0 were there" in result.stdout
    assert tree(tmp_path / "s") == tree(store)


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_a_dry_run_tells_what_a_run_takes_and_writes_nothing(dataset, checkpoint, tmp_path, layout):
    options = ["--checkpoint", checkpoint, "--timesteps", "1,50", "--layout", layout, *QUICK]
    before = tree(tmp_path)
    said = run("extract", dataset, tmp_path / "s", *options, "--dry-run").stdout
    assert tree(tmp_path) == before
    lines = dict(line.split(maxsplit=1) for line in said.splitlines()[1:])
    assert "7 images to extract" in said
    assert set(lines) == {"disk", "memory", "time"}
    run("extract", dataset, tmp_path / "s", *options)
    took = sum(file.stat().st_size for file in (tmp_path / "s").rglob("*") if file.is_file())
    number, unit = lines["disk"].split(",")[0].split()
    assert float(number) * {"MB": 1e6, "GB": 1e9}[unit] == pytest.approx(took, rel=0.1)
    assert "0 images to extract" in run("extract", dataset, tmp_path / "s", *options, "--dry-run").stdout


def test_a_disk_that_is_too_small_is_said_beforehand(dataset, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    result = run(
        "extract", dataset, tmp_path / "s", "--checkpoint", checkpoint, "--timesteps", "1", *QUICK, "--dry-run", code=1
    )
    assert "disk    " in result.stdout
    assert "Make room" in result.stderr


def test_progress_in_a_log_says_the_pace(dataset, checkpoint, tmp_path):
    said = run("extract", dataset, tmp_path / "s", "--checkpoint", checkpoint, "--timesteps", "1", *QUICK).stderr
    assert "extracting: 7 of 7 (100 %), " in said
    assert "images/s" in said


def test_wrong_usage_is_code_2(store, tmp_path):
    run("extract", store, code=2)
    run("fit", store, tmp_path / "h", "--rows", "sideways", code=2)
    run("fit", store, tmp_path / "h", "--timesteps", "1,x", code=2)
    run("fit", store, tmp_path / "h", "--timesteps", "1,1", code=2)
    run("evaluate", store, tmp_path / "h", "--out", tmp_path / "table.doc", code=2)
    run("extract", store, tmp_path / "s", "--checkpoint", "c", "--input-range=1,0", code=2)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_an_extraction_that_can_be_resumed(dataset, checkpoint, tmp_path, sent, code):
    command = [sys.executable, "-c", "from tedm.cli.extract import main; main()", dataset, tmp_path / "store"]
    settings = ["--checkpoint", checkpoint, "--timesteps", ",".join(map(str, range(60))), *QUICK]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*map(str, command + settings)], stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("store/features/c.*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "run the same command again" in said
    assert "Traceback" not in said
    result = run("extract", dataset, tmp_path / "store", *settings)
    computed = int(result.stdout.split(": ")[1].split()[0])
    assert computed < 7
    assert "missing" in run("inspect", tmp_path / "store").output
