import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.backbone import Backbone
from tedm.extract.checkpoint import load_backbone
from tedm.extract.families.tedm import random_backbone
from tedm.extract.pretrain import pretrain
from tedm.extract.trained import state_path

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
    after = pretrain(digits, tmp_path / "digits.safetensors", **{**SMALL, "learning_rate": 3e-3}, iterations=40)
    assert loss(after, digits[:16]) < 0.6 * loss(before, digits[:16])


def test_the_checkpoint_holds_what_was_trained(digits: NDArray[np.float32], tmp_path: Path) -> None:
    trained = pretrain(digits, tmp_path / "digits.safetensors", **SMALL, iterations=3)
    read = load_backbone(tmp_path / "digits.safetensors")
    assert same(trained, read)
    assert (read.step, read.image_size, read.image_channels, read.schedule.timesteps_total) == (3, 16, 1, 100)
    assert not same(trained, random_backbone(timesteps_total=100))
    assert [path.name for path in tmp_path.iterdir()] == ["digits.safetensors"]


def test_a_seed_gives_the_same_file(digits: NDArray[np.float32], tmp_path: Path) -> None:
    first, second, other = (
        pretrain(digits, tmp_path / name, **SMALL, iterations=3, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.sha256 == second.sha256 != other.sha256


@pytest.mark.parametrize("interrupt", ["ctrl-c", "sigterm", "callback"])
def test_resumed_equals_uninterrupted(digits: NDArray[np.float32], tmp_path: Path, interrupt: str) -> None:
    whole = pretrain(digits, tmp_path / "whole", **SMALL, iterations=8)

    def stop(iteration: int, iterations: int, loss: float) -> None:
        if iteration == 3 and interrupt == "callback":
            raise KeyboardInterrupt
        if iteration == 3:
            os.kill(os.getpid(), signal.SIGINT if interrupt == "ctrl-c" else signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
    try:
        with pytest.raises(SystemExit if interrupt == "sigterm" else KeyboardInterrupt):
            pretrain(digits, tmp_path / "parts", **SMALL, iterations=8, progress=stop)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not (tmp_path / "parts").exists()
    seen: list[int] = []
    parts = pretrain(
        digits, tmp_path / "parts", **SMALL, iterations=8, resume=True, progress=lambda iteration, *_: seen.append(iteration)
    )
    assert seen == [4, 5, 6, 7, 8]
    assert parts.sha256 == whole.sha256
    assert not state_path(tmp_path / "parts").exists()


def test_the_state_is_written_every_so_often(digits: NDArray[np.float32], tmp_path: Path) -> None:
    there: list[bool] = []
    pretrain(
        digits,
        tmp_path / "a",
        **SMALL,
        iterations=5,
        state_every=2,
        progress=lambda *_: there.append(state_path(tmp_path / "a").exists()),
    )
    assert there == [False, False, True, True, True]


def test_a_finished_run_can_go_on(digits: NDArray[np.float32], tmp_path: Path) -> None:
    whole = pretrain(digits, tmp_path / "whole", **SMALL, iterations=5)
    pretrain(digits, tmp_path / "longer", **SMALL, iterations=3, keep_state=True)
    assert pretrain(digits, tmp_path / "longer", **SMALL, iterations=5, resume=True).sha256 == whole.sha256


def test_progress_tells_iterations_and_loss(digits: NDArray[np.float32], tmp_path: Path) -> None:
    told: list[tuple[int, int, float]] = []
    pretrain(digits, tmp_path / "a", **SMALL, iterations=2, progress=lambda *values: told.append(values))
    assert [values[:2] for values in told] == [(1, 2), (2, 2)]
    assert all(0.3 < values[2] < 3 for values in told)


def test_a_run_of_other_settings_is_not_resumed(digits: NDArray[np.float32], tmp_path: Path) -> None:
    pretrain(digits, tmp_path / "a", **SMALL, iterations=2, keep_state=True)
    with pytest.raises(TedmError, match=r"(?s)other settings.*\n  learning rate: the state has 0.001, this run asks for 0.1$"):
        pretrain(digits, tmp_path / "a", **{**SMALL, "learning_rate": 0.1}, iterations=4, resume=True)
    with pytest.raises(TedmError, match="images: the state has"):
        pretrain(digits[::-1].copy(), tmp_path / "a", **SMALL, iterations=4, resume=True)
    with pytest.raises(TedmError, match="has seen 2 iterations, this run asks for 1"):
        pretrain(digits, tmp_path / "a", **SMALL, iterations=1, resume=True)


def test_a_damaged_state_is_not_resumed(digits: NDArray[np.float32], tmp_path: Path) -> None:
    state_path(tmp_path / "a").write_bytes(b"damaged")
    with pytest.raises(TedmError, match="no training state"):
        pretrain(digits, tmp_path / "a", **SMALL, iterations=1, resume=True)


def test_nothing_is_overwritten(digits: NDArray[np.float32], tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="nothing to resume"):
        pretrain(digits, tmp_path / "a", **SMALL, iterations=1, resume=True)
    pretrain(digits, tmp_path / "a", **SMALL, iterations=1, keep_state=True)
    with pytest.raises(TedmError, match="unfinished run"):
        pretrain(digits, tmp_path / "a", **SMALL, iterations=1)
    state_path(tmp_path / "a").unlink()
    with pytest.raises(TedmError, match="there already"):
        pretrain(digits, tmp_path / "a", **SMALL, iterations=1)
    with pytest.raises(TedmError, match="no folder"):
        pretrain(digits, tmp_path / "absent" / "a", **SMALL, iterations=1)


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
    ],
)
def test_what_will_not_do_is_refused(digits: NDArray[np.float32], tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(TedmError, match=said):
        pretrain(digits, tmp_path / "a", **{**SMALL, "iterations": 5, **change})
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
        pretrain(change(digits), tmp_path / "a", **SMALL, iterations=1)
