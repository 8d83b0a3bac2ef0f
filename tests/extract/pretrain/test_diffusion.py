import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.backbones import Backbone, load_backbone, random_backbone
from tedm.extract.pretrain import Point, TrainingReport, pretrain_diffusion
from tedm.extract.pretrain.progress import TIMED
from tedm.extract.pretrain.state import state_path

SMALL: dict[str, Any] = {"width": 8, "multipliers": (1, 2), "timesteps_total": 100, "batch_size": 4, "learning_rate": 1e-3}


def weights(backbone: Backbone) -> list[torch.Tensor]:
    return list(backbone.network.state_dict().values())


def same(one: Backbone, other: Backbone) -> bool:
    return all(torch.equal(ours, theirs) for ours, theirs in zip(weights(one), weights(other), strict=True))


def loss(backbone: Backbone, images: NDArray[np.float32]) -> float:
    """Mean absolute error on noise and timesteps that are always the same."""
    x_0 = torch.from_numpy(images) * 2 - 1
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(x_0.shape, generator=generator)
    timesteps = torch.randint(backbone.schedule.timesteps_total, (len(x_0),), generator=generator)
    return float(F.l1_loss(backbone.predict_noise(backbone.schedule.x_t(x_0, noise, timesteps), timesteps), noise))


def test_training_teaches_to_predict_noise(digits: NDArray[np.float32], tmp_path: Path) -> None:
    before = random_backbone(timesteps_total=100)
    after = pretrain_diffusion(digits, tmp_path / "digits.safetensors", **{**SMALL, "learning_rate": 3e-3}, iterations=40)
    assert loss(after, digits[:16]) < 0.6 * loss(before, digits[:16])


def test_the_checkpoint_holds_what_was_trained(digits: NDArray[np.float32], tmp_path: Path) -> None:
    trained = pretrain_diffusion(digits, tmp_path / "digits.safetensors", **SMALL, iterations=3)
    read = load_backbone(tmp_path / "digits.safetensors")
    assert same(trained, read)
    assert (read.step, read.image_size, read.image_channels, read.schedule.timesteps_total) == (3, 16, 1, 100)
    assert not same(trained, random_backbone(timesteps_total=100))
    assert [path.name for path in tmp_path.iterdir()] == ["digits.safetensors"]


def test_a_seed_gives_the_same_file(digits: NDArray[np.float32], tmp_path: Path) -> None:
    first, second, other = (
        pretrain_diffusion(digits, tmp_path / name, **SMALL, iterations=3, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.sha256 == second.sha256 != other.sha256


@pytest.mark.parametrize("interrupt", ["ctrl-c", "sigterm", "callback"])
def test_resumed_equals_uninterrupted(digits: NDArray[np.float32], tmp_path: Path, interrupt: str) -> None:
    whole = pretrain_diffusion(digits, tmp_path / "whole", **SMALL, iterations=8)

    def stop(iteration: int, iterations: int, loss: float) -> None:
        if iteration == 3 and interrupt == "callback":
            raise KeyboardInterrupt
        if iteration == 3:
            os.kill(os.getpid(), signal.SIGINT if interrupt == "ctrl-c" else signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
    try:
        with pytest.raises(SystemExit if interrupt == "sigterm" else KeyboardInterrupt):
            pretrain_diffusion(digits, tmp_path / "parts", **SMALL, iterations=8, progress=stop)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not (tmp_path / "parts").exists()
    seen: list[int] = []
    parts = pretrain_diffusion(
        digits, tmp_path / "parts", **SMALL, iterations=8, resume=True, progress=lambda iteration, *_: seen.append(iteration)
    )
    assert seen == [4, 5, 6, 7, 8]
    assert parts.sha256 == whole.sha256
    assert not state_path(tmp_path / "parts").exists()


def test_the_state_is_written_every_so_often(digits: NDArray[np.float32], tmp_path: Path) -> None:
    there: list[bool] = []
    pretrain_diffusion(
        digits,
        tmp_path / "a",
        **SMALL,
        iterations=5,
        state_every=2,
        progress=lambda *_: there.append(state_path(tmp_path / "a").exists()),
    )
    assert there == [False, False, True, True, True]


def test_a_finished_run_can_go_on(digits: NDArray[np.float32], tmp_path: Path) -> None:
    whole = pretrain_diffusion(digits, tmp_path / "whole", **SMALL, iterations=5)
    pretrain_diffusion(digits, tmp_path / "longer", **SMALL, iterations=3, keep_state=True)
    assert pretrain_diffusion(digits, tmp_path / "longer", **SMALL, iterations=5, resume=True).sha256 == whole.sha256


def test_progress_tells_iterations_and_loss(digits: NDArray[np.float32], tmp_path: Path) -> None:
    told: list[tuple[int, int, float]] = []
    pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=2, progress=lambda *values: told.append(values))
    assert [values[:2] for values in told] == [(1, 2), (2, 2)]
    assert all(0.3 < values[2] < 3 for values in told)


def test_a_run_of_other_settings_is_not_resumed(digits: NDArray[np.float32], tmp_path: Path) -> None:
    pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=2, keep_state=True)
    with pytest.raises(TedmError, match=r"(?s)other settings.*\n  learning rate: the state has 0.001, this run asks for 0.1$"):
        pretrain_diffusion(digits, tmp_path / "a", **{**SMALL, "learning_rate": 0.1}, iterations=4, resume=True)
    with pytest.raises(TedmError, match="images: the state has"):
        pretrain_diffusion(digits[::-1].copy(), tmp_path / "a", **SMALL, iterations=4, resume=True)
    with pytest.raises(TedmError, match="has seen 2 iterations, this run asks for 1"):
        pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=1, resume=True)


def test_a_damaged_state_is_not_resumed(digits: NDArray[np.float32], tmp_path: Path) -> None:
    state_path(tmp_path / "a").write_bytes(b"damaged")
    with pytest.raises(TedmError, match="no training state"):
        pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=1, resume=True)


def test_nothing_is_overwritten(digits: NDArray[np.float32], tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="nothing to resume"):
        pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=1, resume=True)
    pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=1, keep_state=True)
    with pytest.raises(TedmError, match="unfinished run"):
        pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=1)
    state_path(tmp_path / "a").unlink()
    with pytest.raises(TedmError, match="there already"):
        pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=1)
    with pytest.raises(TedmError, match="no folder"):
        pretrain_diffusion(digits, tmp_path / "absent" / "a", **SMALL, iterations=1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": 0.0}, "learning rate is 0; use"),
        ({"learning_rate": float("nan")}, "learning rate is nan"),
        ({"iterations": 0}, "iterations is 0"),
        ({"batch_size": 0}, "batch size is 0"),
        ({"multipliers": (1, 2, 2, 2, 2, 2)}, "multiples of 32. The nearest size is 32"),
        ({"width": 9}, "multiple of 8"),
        ({"schedule": "sigmoid"}, "cosine, linear"),
        ({"device": "tpu"}, "no device 'tpu'"),
        ({"learning_rate": 1e30}, "lower the learning rate"),
        ({"batch_size": 65}, "64 images are too few for batches of 65"),
        ({"accumulate": 3}, "batch of 4 images cannot be computed in 3 equal parts"),
        ({"clip_gradient": 0.0}, "clip gradient is 0; use a number above zero, for example 1"),
        ({"ema_decay": 1.0}, "ema decay is 1; use a number from 0 to below 1"),
        ({"report_every": 0}, "report every is 0; use at least 1"),
        ({"samples": -1}, "samples is -1; use at least 0"),
        ({"held_out": np.zeros((2, 1, 8, 8), np.float32)}, "held out are of shape .1, 8, 8.*of .1, 16, 16."),
        ({"held_out": np.zeros((0, 1, 16, 16), np.float32)}, "no images held out"),
    ],
)
def test_what_will_not_do_is_refused(digits: NDArray[np.float32], tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(TedmError, match=said):
        pretrain_diffusion(digits, tmp_path / "a", **{**SMALL, "iterations": 5, **change})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda images: images[:0], "no images"),
        (lambda images: images[:, 0], "expected .images, channels"),
        (lambda images: images[..., :8], "16 x 8 pixels are not square"),
        (lambda images: images * 255, "from 0 to 255"),
        (lambda images: images * np.float32(np.nan), "nan"),
        (lambda images: (images * 255).astype(np.uint8), "uint8"),
        (lambda images: images[:, :, :15, :15], "nearest size is 14 or 16"),
    ],
)
def test_images_that_will_not_do_are_refused(digits: NDArray[np.float32], tmp_path: Path, change: Any, said: str) -> None:
    with pytest.raises(TedmError, match=said):
        pretrain_diffusion(change(digits), tmp_path / "a", **SMALL, iterations=1)


@pytest.mark.parametrize(
    "settings",
    [
        {"precision": "bfloat16", "accumulate": 2, "clip_gradient": 0.5, "flip": True, "ema_decay": 0.2},
        {"format": "published", "schedule": "linear"},
    ],
    ids=["all of it", "published"],
)
def test_a_resumed_run_ends_in_the_same_bytes_and_the_same_curve(
    digits: NDArray[np.float32], tmp_path: Path, settings: dict[str, Any]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    points: dict[Path, tuple[Point, ...]] = {}

    def train(path: Path, iterations: int, **more: Any) -> None:
        def keep(report: TrainingReport) -> None:
            points[path] = report.points

        given: dict[str, Any] = {**SMALL, **settings, **more, "held_out": digits[-2:], "report_every": 4}
        pretrain_diffusion(digits[:-2], path, **given, iterations=iterations, report=keep)

    train(whole, 8)
    train(parts, 3, keep_state=True)
    train(parts, 8, resume=True)
    assert whole.read_bytes() == parts.read_bytes()
    # the end of the first part made a point of its own
    assert [point.iteration for point in points[whole]] == [0, 4, 8]
    assert [point.iteration for point in points[parts]] == [0, 3, 4, 8]
    assert [points[parts][index] for index in (0, 3)] == [points[whole][index] for index in (0, 2)]


def test_a_run_killed_without_warning_goes_on_from_its_last_state(digits: NDArray[np.float32], tmp_path: Path) -> None:
    """What lies there after a kill at iteration 5 is the state of iteration 4."""
    whole = pretrain_diffusion(digits, tmp_path / "whole", **SMALL, iterations=7)
    copies: list[bytes] = []
    pretrain_diffusion(
        digits,
        tmp_path / "other",
        **SMALL,
        iterations=7,
        state_every=2,
        progress=lambda iteration, *_: copies.append(state_path(tmp_path / "other").read_bytes()) if iteration == 5 else None,
    )
    state_path(tmp_path / "killed").write_bytes(copies[0])
    seen: list[int] = []
    resumed = pretrain_diffusion(
        digits, tmp_path / "killed", **SMALL, iterations=7, resume=True, progress=lambda iteration, *_: seen.append(iteration)
    )
    assert seen == [5, 6, 7]
    assert resumed.sha256 == whole.sha256


def test_checkpoints_on_the_way_are_those_of_shorter_runs(digits: NDArray[np.float32], tmp_path: Path) -> None:
    pretrain_diffusion(digits, tmp_path / "ddpm.safetensors", **SMALL, iterations=5, checkpoint_every=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ddpm-2.safetensors", "ddpm-4.safetensors", "ddpm.safetensors"]
    shorter = pretrain_diffusion(digits, tmp_path / "shorter", **SMALL, iterations=4)
    assert load_backbone(tmp_path / "ddpm-4.safetensors").sha256 == shorter.sha256


def test_reports_come_before_the_first_iteration_every_so_often_and_at_the_end(
    digits: NDArray[np.float32], tmp_path: Path
) -> None:
    reports: list[TrainingReport] = []
    given: dict[str, Any] = {**SMALL, "learning_rate": 1e-2, "held_out": digits[:2], "report_every": 8, "samples": 2}
    pretrain_diffusion(digits[2:], tmp_path / "a", **given, iterations=20, report=reports.append)
    assert [report.iteration for report in reports] == [0, 8, 16, 20]
    assert [point.iteration for point in reports[-1].points] == [0, 8, 16, 20]
    validation = [point.validation or 0 for point in reports[-1].points]
    assert 0 < validation[3] < 0.9 * validation[0]
    assert reports[-1].points[0].training is None
    for report in reports:
        assert report.samples.shape == (2, 1, 16, 16)
        assert 0 <= report.samples.min() < report.samples.max() <= 1
    assert not np.array_equal(reports[0].samples, reports[-1].samples)


def test_what_is_looked_at_on_the_way_changes_nothing(digits: NDArray[np.float32], tmp_path: Path) -> None:
    plain = pretrain_diffusion(digits, tmp_path / "plain", **SMALL, iterations=3)
    looked_at: dict[str, Any] = {**SMALL, "held_out": digits[:1], "report_every": 1, "samples": 1, "checkpoint_every": 1}
    assert (
        pretrain_diffusion(digits, tmp_path / "looked at", **looked_at, iterations=3, report=lambda _: None).sha256
        == plain.sha256
    )


def test_a_report_that_fails_loses_no_iteration(digits: NDArray[np.float32], tmp_path: Path) -> None:
    def full(report: TrainingReport) -> None:
        if report.iteration == 2:
            raise TedmError("the disk is full")

    whole = pretrain_diffusion(digits, tmp_path / "whole", **SMALL, iterations=3)
    with pytest.raises(TedmError, match="the disk is full"):
        pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=3, report_every=2, report=full)
    assert pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=3, resume=True).sha256 == whole.sha256


def test_the_time_that_is_left_is_told_once_at_the_start(digits: NDArray[np.float32], tmp_path: Path) -> None:
    lines: list[str] = []
    pretrain_diffusion(digits, tmp_path / "a", **SMALL, iterations=TIMED + 2, log=lines.append)
    (line,) = lines
    assert re.fullmatch(r"about \d+ s for 2 more iterations, at [\d.e-]+ s each", line)
