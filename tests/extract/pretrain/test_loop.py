"""The loop asks nothing of what is learned."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.extract.backbones import Content
from tedm.extract.pretrain.denoiser import Denoiser
from tedm.extract.pretrain.learner import Learner
from tedm.extract.pretrain.loop import digest_of, require_ending, require_images, train
from tedm.signals import leave_if_pending

QUIET: dict[str, Any] = {"resume": False, "keep_state": False, "state_every": 100, "checkpoint_every": 0, "report_every": 2}
QUIET |= {"held_out": None, "report": None, "progress": None, "log": None}


class MeanImage(Learner):
    """Learns the mean of the images with one weight a pixel; another weight does not learn."""

    def __init__(self, settings: Any) -> None:
        network = nn.ParameterDict({"mean": torch.zeros(1, 16, 16), "still": torch.ones(1)})
        network["still"].requires_grad_(False)
        super().__init__(settings, network, torch.device("cpu"))

    def content(self) -> Content:
        return Content(name="", sha256="", tensors=self.named(self.average), config={"kind": "mean"}, step=self.iteration)

    def file_name(self, name: str) -> str | None:
        return f"model.{name}" if name == "mean" else None

    def held_out_loss(self, images: NDArray[np.float32]) -> Callable[[], float]:
        return lambda: float((self.average["mean"] - torch.from_numpy(images)).square().mean())

    def sampler(self, samples: int) -> Callable[[], NDArray[np.float32]]:
        return lambda: self.average["mean"].numpy()[None].repeat(samples, axis=0)

    def _draw(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        return (images[torch.randint(len(images), (self.settings.batch_size,), generator=generator)],)

    def _loss(self, network: nn.Module, drawn: tuple[Tensor, ...]) -> Tensor:
        return (network["mean"] - drawn[0]).square().mean()  # type: ignore[index]


@pytest.fixture
def settings(learner: Callable[..., Denoiser]) -> Any:
    return replace(learner().settings, learning_rate=0.03, batch_size=16)


def test_a_learner_of_another_kind_trains_and_goes_on(settings: Any, digits: NDArray[np.float32], tmp_path: Path) -> None:
    whole, parts, again = MeanImage(settings), MeanImage(settings), MeanImage(settings)
    curves: list[Any] = []
    train(whole, digits, tmp_path / "whole", iterations=60, **{**QUIET, "held_out": digits[:8], "report": curves.append})
    assert float((whole.average["mean"] - torch.from_numpy(digits).mean(dim=0)).abs().max()) < 0.1
    assert curves[-1].points[-1].validation < 0.5 * curves[0].points[0].validation
    train(parts, digits, tmp_path / "parts", iterations=7, **{**QUIET, "keep_state": True})
    train(again, digits, tmp_path / "parts", iterations=60, **{**QUIET, "resume": True})
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    assert float(again.network["still"]) == 1


class Interrupted(MeanImage):
    """Hears Ctrl-C in the loss on images held out after some iterations, and looks for it as long losses do."""

    at = 4

    def held_out_loss(self, images: NDArray[np.float32]) -> Callable[[], float]:
        loss = super().held_out_loss(images)

        def interrupted() -> float:
            if self.iteration == self.at:
                signal.raise_signal(signal.SIGINT)
            leave_if_pending()
            return loss()

        return interrupted


@pytest.mark.parametrize("at", [0, 4, 8])
def test_a_signal_in_the_loss_on_images_held_out_is_obeyed_and_the_run_goes_on_to_the_same_curve(
    settings: Any, digits: NDArray[np.float32], tmp_path: Path, at: int
) -> None:
    whole, parts, again = MeanImage(settings), Interrupted(settings), MeanImage(settings)
    parts.at = at
    curves: dict[str, list[Any]] = {"whole": [], "again": []}
    asked = {**QUIET, "held_out": digits[:8]}
    train(whole, digits, tmp_path / "whole", iterations=8, **{**asked, "report": curves["whole"].append})
    with pytest.raises(KeyboardInterrupt):
        train(parts, digits, tmp_path / "parts", iterations=8, **asked)
    assert parts.iteration == at
    assert not (tmp_path / "parts").exists()
    train(again, digits, tmp_path / "parts", iterations=8, **{**asked, "resume": True, "report": curves["again"].append})
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    assert curves["again"][-1].points == curves["whole"][-1].points
    assert curves["again"][0].iteration == at


def test_a_file_of_pytorch_is_not_named_as_one_of_safetensors(tmp_path: Path) -> None:
    place = tmp_path / "ddpm.safetensors"
    with pytest.raises(TedmError, match=r"under the name of a safetensors file; name it .*ddpm\.pt, or leave out --format"):
        require_ending(place, "published", resume=False)
    require_ending(place, "published", resume=True)  # begun before this was refused
    require_ending(place.with_suffix(".pt"), "published", resume=False)
    require_ending(place, "safetensors", resume=False)


def test_a_digest_is_of_the_numbers(digits: NDArray[np.float32]) -> None:
    assert digest_of(digits) == digest_of(digits[::-1].copy()[::-1]) != digest_of(digits[::-1])


def test_too_few_images_for_a_batch_are_refused(digits: NDArray[np.float32]) -> None:
    require_images(digits, digits[:1], batch_size=64)
    with pytest.raises(TedmError, match="64 images are too few for batches of 65"):
        require_images(digits, None, batch_size=65)
