"""Contrastive training from images to a checkpoint."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from contrast_files import SMALL, contrast_digits, contrast_gratings, write_contrasted

from tedm.errors import TedmError
from tedm.extract.backbones import random_backbone, save_backbone
from tedm.extract.pretrain import TrainingReport, pretrain_contrast, require_contrast, require_same
from tedm.extract.pretrain.state import state_path
from tedm.networks.tedm_unet import TedmUNet


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contrast") / "global.safetensors"
    write_contrasted(path)
    return path


@pytest.fixture(scope="module")
def waves_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contrast") / "waves.safetensors"
    write_contrasted(path, images=contrast_gratings())
    return path


def of(objective: str, start: Path) -> dict[str, Any]:
    return {**SMALL, "objective": objective, "start": None if objective == "global-cl" else start}


@pytest.mark.parametrize("objective", ["global-cl", "global-local-cl"])
def test_the_loss_falls(waves_start: Path, tmp_path: Path, objective: str) -> None:
    points: list[tuple[Any, ...]] = []

    def keep(report: TrainingReport) -> None:
        points.append(report.points)

    waves = contrast_gratings()
    given = {**of(objective, waves_start), "iterations": 40, "batch_size": 8, "report_every": 10}
    made = pretrain_contrast(waves[:48], tmp_path / "a", **given, held_out=waves[48:], report=keep)
    assert points[-1][-1].training < 0.85 * points[-1][1].training
    assert points[-1][-1].validation < 0.8 * points[-1][0].validation
    assert (made.objective, made.width, made.multipliers, made.image_channels, made.image_size) == (objective, 8, (1, 2), 1, 8)
    network = TedmUNet(width=8, multipliers=(1, 2), image_channels=1, timed=False)
    fitted = network.load_state_dict(dict(made.tensors), strict=False)
    assert fitted.unexpected_keys == []
    assert {name.split(".")[0] for name in fitted.missing_keys} == {"ups", "final_res_block", "final_conv"}
    assert (len([name for name in fitted.missing_keys if name.startswith("ups")]) == 2) == (objective == "global-local-cl")


@pytest.mark.parametrize(
    ("objective", "settings"),
    [
        ("global-cl", {}),
        ("global-cl", {"as_published": True, "precision": "bfloat16", "flip": True, "ema_decay": 0.3}),
        ("global-local-cl", {"accumulate": 2, "clip_gradient": 0.5}),
    ],
    ids=["global", "as published", "local"],
)
def test_resumed_equals_uninterrupted(waves_start: Path, tmp_path: Path, objective: str, settings: dict[str, Any]) -> None:
    given = {**of(objective, waves_start), **settings, "iterations": 4}
    waves = contrast_gratings()
    whole = pretrain_contrast(waves, tmp_path / "whole", **given)

    def stop(iteration: int, iterations: int, loss: float) -> None:
        if iteration == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pretrain_contrast(waves, tmp_path / "parts", **given, progress=stop)
    seen: list[int] = []
    parts = pretrain_contrast(
        waves, tmp_path / "parts", **given, resume=True, progress=lambda iteration, *_: seen.append(iteration)
    )
    assert seen == [3, 4]
    assert parts.sha256 == whole.sha256
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    assert not state_path(tmp_path / "parts").exists()


def test_an_encoder_of_another_start_is_not_gone_on_with(start: Path, tmp_path: Path) -> None:
    write_contrasted(tmp_path / "other", seed=5)
    given = {**of("global-local-cl", start), "iterations": 1}
    pretrain_contrast(contrast_digits(), tmp_path / "a", **given, keep_state=True)
    with pytest.raises(TedmError, match="(?s)other settings.*\n  start: the state has .*, this run asks for"):
        pretrain_contrast(contrast_digits(), tmp_path / "a", **{**given, "start": tmp_path / "other"}, resume=True)
    with pytest.raises(
        TedmError, match="(?s)other settings.*\n  objective: the state has global-local-cl, this run asks for glob"
    ):
        pretrain_contrast(contrast_digits(), tmp_path / "a", **of("global-cl", start), iterations=2, resume=True)


def test_the_network_is_that_of_the_start(start: Path, tmp_path: Path) -> None:
    given = {name: value for name, value in of("global-local-cl", start).items() if name not in ("width", "multipliers")}
    made = pretrain_contrast(contrast_digits(), tmp_path / "a", **given, iterations=1)
    assert (made.width, made.multipliers) == (8, (1, 2))


def test_one_image_held_out_is_none_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    reports: list[TrainingReport] = []
    digits = contrast_digits()
    write_contrasted(tmp_path / "a", held_out=digits[:1], log=said.append, report=reports.append)
    assert said[0] == "note: one image held out has no other to be told from, so there is no loss on images held out"
    assert reports[-1].points[-1].validation is None


def test_fewer_regions_than_twenty_are_said(tmp_path: Path) -> None:
    said: list[str] = []
    digits = contrast_digits()
    write_contrasted(tmp_path / "global", multipliers=(1, 1, 1))
    given = {"objective": "global-local-cl", "start": tmp_path / "global", "iterations": 1, "batch_size": 2}
    pretrain_contrast(digits, tmp_path / "a", **given, log=said.append)
    assert said[0].startswith("note: 4 regions of 3 x 3 fit into the map of 8 x 8 side by side")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"objective": "diffusion"}, "'diffusion' is no contrastive objective"),
        ({"batch_size": 1}, "tells an image from the others of its batch; use a batch size of at least 2"),
        ({"accumulate": 2}, "global-cl cannot be computed in 2 parts"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"start": Path("there")}, "global-cl starts from random weights, not from there"),
        ({"batch_size": 65}, "64 images are too few for batches of 65"),
        ({"learning_rate": 0.0}, "learning rate is 0; use"),
        ({"multipliers": (1, 2, 2, 2, 2, 2)}, "multiples of 32"),
        ({"width": 9}, "multiple of 8"),
        ({"width": 0}, "multiple of 8"),
        ({"device": "tpu"}, "no device 'tpu'"),
        ({"held_out": np.zeros((2, 1, 8, 8), np.float32)}, "held out are of shape"),
        ({"objective": "global-local-cl"}, "name it with --start, a checkpoint of tedm-pretrain --objective global-cl"),
        ({"objective": "global-local-cl", "as_published": True}, "no --as-published.*random weights.*47 %"),
        ({"objective": "global-local-cl", "start": Path("absent")}, "there is no checkpoint absent"),
    ],
)
def test_what_will_not_do_is_refused_in_one_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(TedmError, match=said) as refused:
        write_contrasted(tmp_path / "a", **change)
    assert len(str(refused.value).splitlines()) == 1 or "cannot train" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_will_not_do_is_refused_in_one_line(start: Path, tmp_path: Path) -> None:
    def refused(said: str, path: Path) -> None:
        with pytest.raises(TedmError, match=said) as error:
            require_contrast("global-local-cl", start=path, as_published=False, batch_size=4, accumulate=1)
        assert len(str(error.value).splitlines()) == 1

    save_backbone(random_backbone(), tmp_path / "ddpm")
    refused("is a checkpoint of the objective diffusion; global-local-cl starts from one of", tmp_path / "ddpm")
    pretrain_contrast(contrast_digits(), tmp_path / "local", **of("global-local-cl", start), iterations=1)
    refused("is a checkpoint of the objective global-local-cl", tmp_path / "local")
    write_contrasted(tmp_path / "flat", multipliers=(1,))
    refused("has 1 level for images of 16 x 16: after two decoder stages there are no two regions", tmp_path / "flat")
    write_contrasted(tmp_path / "tiny", multipliers=(1, 1, 1, 1))
    refused("has 4 levels for images of 16 x 16", tmp_path / "tiny")
    (tmp_path / "text").write_text("a text")
    refused("text is no checkpoint", tmp_path / "text")


def test_all_differences_to_the_start_are_named_at_once(start: Path) -> None:
    begun = require_contrast("global-local-cl", start=start, as_published=False, batch_size=4, accumulate=1)
    assert begun is not None
    require_same(begun, start, width=8, multipliers=[1, 2], image_size=16, image_channels=1)
    require_same(begun, start, width=None, multipliers=None, image_size=None, image_channels=None)
    with pytest.raises(TedmError) as refused:
        require_same(begun, start, width=16, multipliers=(1, 2, 4), image_size=32, image_channels=3)
    expected = "width 8 and not 16, multipliers 1,2 and not 1,2,4, image size 16 and not 32, channels 1 and not 3"
    assert str(refused.value) == f"{start} has {expected}; leave these options out, or start from another checkpoint"


def test_a_training_that_diverges_keeps_its_last_weights(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="diverged at iteration 2.*lower the learning rate"):
        write_contrasted(tmp_path / "a", learning_rate=1e30, iterations=4)
    assert torch.isfinite(write_contrasted(tmp_path / "b").tensors["init_conv.weight"]).all()
