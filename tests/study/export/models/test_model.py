"""A head leaves as a folder that is a head again, whole or not at all, and without anybody's name."""

from __future__ import annotations

import csv
import dataclasses
import re
import resource
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import invoke
from travelling import run_example

from tedm.cli import extract, fit, predict
from tedm.cli.exports import export
from tedm.errors import TedmError
from tedm.extract import load_backbone
from tedm.extract.backbones import random_backbone, save_backbone
from tedm.heads import load_head, method_named
from tedm.heads import predict as predictions
from tedm.store import FeatureStore
from tedm.study import export_model
from tedm.study.export.models.card import card_of
from tedm.study.export.models.chain import Chain
from tedm.study.export.models.described import Contents
from tedm.study.export.models.model import remarks_on
from tedm.study.export.models.parity import Agreement


def nothing_left(place: Path) -> bool:
    """Whether neither the folder is there nor what was written aside."""
    return not place.exists() and not list(place.parent.glob(f".{place.name}*"))


def test_an_exported_head_predicts_the_same_bits(exported, fitted, extracted):
    store = FeatureStore.open(extracted)
    for name in store.labels.names:
        block = store.block(name)
        ours, theirs = (load_head(folder).probabilities(block) for folder in (fitted, exported))
        np.testing.assert_array_equal(theirs, ours)


def test_it_segments_images_with_the_backbone_that_is_in_it(exported, fitted, checkpoint, dataset, tmp_path):
    for head, file, out in ((fitted, checkpoint, "ours"), (exported, exported / "backbone.safetensors", "theirs")):
        invoke(predict.main, dataset, head, tmp_path / out, "--checkpoint", file, "--device", "cpu")
    masks = sorted(path.name for path in (tmp_path / "ours").glob("*.png"))
    assert len(masks) == 3
    for name in masks:
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


def test_the_onnx_file_makes_the_same_masks_in_a_process_without_tedm(exported, fitted, extracted, dataset):
    store = FeatureStore.open(extracted)
    head = load_head(fitted)
    for name in store.labels.select(split="test"):
        (ours,) = predictions(store, {"head": head}, [name])
        mask = run_example(exported, name, image=dataset.parent / "images" / f"{name}.png")
        assert np.ptp(mask) == 255
        sure = abs(ours.probabilities[..., 1] - 0.5) > 0.005  # the store has rounded activations to float16
        assert sure.mean() > 0.9
        np.testing.assert_array_equal(mask[sure], np.array(head.classes)[ours.mask][sure])


def test_a_head_for_volumes_leaves_without_its_patients_and_segments_volumes(volume_study, checkpoint, tmp_path):
    head, scan = volume_study / "tedm", volume_study / "images" / "four.nrrd"
    invoke(export.main, head, tmp_path / "model", "--checkpoint", checkpoint, "--with-backbone")
    for path in (tmp_path / "model").glob("*.[jm]*"):
        assert re.search(r"\bp[1-4]\b|\bone\b_|two_\d", path.read_text()) is None, path.name
    for folder in (head, tmp_path / "model"):
        invoke(predict.main, scan, folder, tmp_path / f"{folder.name}-masks", "--checkpoint", checkpoint, "--device", "cpu")
    ours, theirs = (tmp_path / f"{name}-masks" / "four.nrrd" for name in ("tedm", "model"))
    assert ours.read_bytes() == theirs.read_bytes()
    card = (tmp_path / "model" / "README.md").read_text()
    assert "Images are slices of volumes" in card


def test_no_image_and_no_patient_is_named_in_any_file(exported):
    for path in exported.rglob("*"):
        content = path.read_bytes()
        assert re.search(rb"scan [0-6]", content) is None, path.name
        if path.suffix in (".json", ".md"):
            assert re.search(rb"\bp[0-6]\b", content) is None, path.name


def test_names_stay_where_that_is_asked_for(fitted, tmp_path):
    said: list[str] = []
    export_model(load_head(fitted), tmp_path / "named", with_names=True, log=said.append)
    assert load_head(tmp_path / "named").provenance == load_head(fitted).provenance
    assert "scan 0" not in (tmp_path / "named" / "README.md").read_text()
    assert "note: head.json has the names of the training images and their groups: see that no patient is named by them" in said


def test_a_head_of_any_kind_is_exported_without_its_backbone(extracted, tmp_path):
    for number, options in enumerate(
        (
            ["--head", "sklearn:ensemble.RandomForestClassifier", "--params", '{"n_estimators": 2}', "--method", "timestep:1"],
            ["--head", "xgboost", "--method", "timestep:1", "--iterations", 2],
        )
    ):
        invoke(fit.main, extracted, tmp_path / f"head{number}", *options)
        done = export_model(load_head(tmp_path / f"head{number}"), tmp_path / f"model{number}")
        assert {"README.md", "config.json", "head.json"} < set(done.files)
        block = FeatureStore.open(extracted).block("scan 4")
        ours, theirs = (load_head(tmp_path / f"{what}{number}").probabilities(block) for what in ("head", "model"))
        np.testing.assert_array_equal(theirs, ours)


def refusals(fitted, checkpoint, tmp_path, scored):
    """What is asked for, and what is said; the head and the folder beside."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("three years")
    backbone, other = load_backbone(checkpoint), random_backbone(seed=9)
    expected = backbone.sha256
    with (tmp_path / "large.pt").open("wb") as file:
        file.truncate(2**43)
    return [
        ("taken", {}, "taken exists and is not empty; name another folder, or delete it"),
        ("out", {"onnx": True}, f"--onnx needs the backbone of the head, .* --checkpoint FILE\n  its SHA-256 is {expected}"),
        ("out", {"onnx": True, "with_backbone": True}, "--onnx and --with-backbone needs the backbone of the head"),
        (
            "out",
            {"with_backbone": True, "backbone": backbone},
            "--with-backbone copies a checkpoint, and a network of a function",
        ),
        (
            "out",
            {"onnx": True, "backbone": other, "checkpoint": Path("other.pt")},
            f"^other.pt is not the backbone of the head\n  SHA-256: the head's {expected}, this one's {other.sha256}\nName the",
        ),
        ("out", {"licence": "My own!"}, r"--licence 'My own!' is no identifier of a licence .* write it like cc-by-4.0"),
        ("out", {"scores": tmp_path / "nothing"}, "nothing"),
        (
            "out",
            {"with_backbone": True, "backbone": backbone, "checkpoint": tmp_path / "large.pt"},
            "out needs 8.* and its disk has .* left; make room or name another folder",
        ),
    ]


def test_what_cannot_be_exported_is_said_before_anything_is_written(fitted, checkpoint, tmp_path, scored):
    head = load_head(fitted)
    for folder, asked, message in refusals(fitted, checkpoint, tmp_path, scored):
        with pytest.raises(TedmError, match=message):
            export_model(head, tmp_path / folder, **asked)
        assert folder == "taken" or nothing_left(tmp_path / folder)
    assert (tmp_path / "taken" / "thesis.txt").read_text() == "three years"


def test_a_head_that_looks_at_images_has_no_backbone(extracted, checkpoint, tmp_path):
    head = dataclasses.replace(load_head(extracted.parent / "head"), method=method_named("unet"))
    with pytest.raises(TedmError, match="looks at images and has no backbone: leave out --checkpoint and --with-backbone"):
        export_model(head, tmp_path / "out", backbone=load_backbone(checkpoint))


def test_a_full_disk_leaves_nothing(fitted, checkpoint, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (checkpoint.stat().st_size - 1, hard))
    try:
        with pytest.raises(TedmError, match="cannot write the model .*out: .*; make room or name another folder, and run"):
            export_model(
                load_head(fitted),
                tmp_path / "out",
                backbone=load_backbone(checkpoint),
                checkpoint=checkpoint,
                with_backbone=True,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert nothing_left(tmp_path / "out")


def test_an_interruption_leaves_nothing(fitted, tmp_path):
    class Interrupting:
        def __call__(self, stage):
            return self

        def __enter__(self):
            return self.show

        def __exit__(self, *_):
            return False

        def show(self, done, total, remark=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_model(load_head(fitted), tmp_path / "out", progress=Interrupting())
    assert nothing_left(tmp_path / "out")


RESTLESS = """
import numpy as np
import torch
from torch import nn
from tedm.extract import OwnNetwork, Schedule


class Restless(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x, timesteps):
        return self.second(self.first(x) + torch.rand_like(x))


def network():
    return OwnNetwork(Restless(), Schedule.cosine(100), taps=["second"], image_size=16, image_channels=1)
"""


def test_a_file_that_does_not_do_what_the_head_does_is_not_put_in_place(dataset, tmp_path, monkeypatch):
    """A backbone that draws numbers of its own at every pass: no file can give them again."""
    pytest.importorskip("onnxscript", reason="needs the extra `onnx`")
    (tmp_path / "restless.py").write_text(RESTLESS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    own = ["--backbone", "restless:network"]
    quick = ["--timesteps", "1,50", "--layout", "native", "--precision", "float32", "--threads", 1, "--device", "cpu"]
    invoke(extract.main, dataset, "store", *own, *quick)
    invoke(fit.main, "store", "head", "--method", "timestep:1", "--iterations", 20)
    done = CliRunner().invoke(export.main, ["head", "out", *own, "--onnx"])
    assert done.exit_code == 1
    assert "the ONNX file does not do what the head does, and nothing was written: " in done.stderr
    assert nothing_left(tmp_path / "out")


@pytest.mark.slow
def test_three_real_images_get_the_same_masks_without_tedm(shared, tmp_path):
    """Chest X-rays of another size than the backbone's, by TEDM with noise of each image, by LEDM with one noise for all.

    The stores are of float32: what float16 rounds away decides a pixel in some thousands.
    """
    pytest.importorskip("onnxscript", reason="needs the extra `onnx`")
    rows = list(csv.DictReader((shared / "data/shenzhen/manifest.csv").read_text().splitlines()))
    train, test = ([row for row in rows if row["split"] == split][:count] for split, count in (("train", 3), ("test", 3)))
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "mask", "split", "patient"])
        for row in (*train, *test):
            paths = [shared / "data/shenzhen" / row[what] for what in ("image", "mask")]
            writer.writerow([*paths, row["split"], row["patient"]])
    checkpoint = shared / "checkpoints/nih64.pt"
    quick = ["--timesteps", "1,50,200", "--dtype", "float32", "--layout", "native", "--precision", "float32", "--device", "cpu"]
    for noise, method in (("per-image", ["--method", "tedm"]), ("shared", ["--method", "ledm", "--members", "3"])):
        place, head, model = (tmp_path / f"{what}-{noise}" for what in ("store", "head", "model"))
        invoke(extract.main, tmp_path / "manifest.csv", place, "--checkpoint", checkpoint, "--noise", noise, *quick)
        store = FeatureStore.open(place)
        invoke(fit.main, place, head, *method, "--timesteps", "1,50,200", "--iterations", 200)
        invoke(export.main, head, model, "--checkpoint", checkpoint, "--onnx")
        fitted = load_head(head)
        for ours in predictions(store, {"head": fitted}, store.labels.select(split="test")):
            image = next(shared / "data/shenzhen" / row["image"] for row in test if Path(row["image"]).stem == ours.name)
            mask = run_example(model, ours.name, image=image)
            assert 0.05 < (mask == 255).mean() < 0.6
            np.testing.assert_array_equal(mask, np.array(fitted.classes)[ours.mask])
        assert (model / "noise.npy").exists() == (noise == "shared")


def test_features_in_another_arithmetic_than_the_files_are_said(fitted, checkpoint):
    head = load_head(fitted)
    head = dataclasses.replace(head, arithmetic=dataclasses.replace(head.arithmetic, precision="bfloat16"))
    contents = Contents("blobs", chain=Chain(head, load_backbone(checkpoint)), agreement=Agreement(2, 1e-6, 1e-6, 1e-3, 0.0))
    assert any("computed in bfloat16, and model.onnx computes in float32" in each for each in remarks_on(head, contents))
    assert "The head's features were computed in bfloat16" in card_of(head, contents)


def test_a_backbones_settings_travel_with_it(extracted, fitted, checkpoint, tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    save_backbone(random_backbone(), tmp_path / "tiny.safetensors")
    done = export_model(
        load_head(fitted),
        tmp_path / "out",
        backbone=load_backbone(checkpoint),
        checkpoint=checkpoint,
        backbone_config=tmp_path / "settings.json",
        with_backbone=True,
    )
    assert {"backbone.safetensors", "backbone-config.json"} < set(done.files)
    assert "--backbone-config FOLDER/backbone-config.json" in (tmp_path / "out" / "README.md").read_text()
