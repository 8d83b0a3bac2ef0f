"""Milestones of denoising-diffusion-pytorch, against the library's own forward pass."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbone_suite import BackboneSuite, images

from tedm.errors import TedmError
from tedm.extract.backbones import Backbone, load_backbone

try:
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet
    from ema_pytorch import EMA
except Exception as error:
    pytest.skip(f"needs the extra `milestones`, and a torchvision that works: {error}", allow_module_level=True)


def diffusion(objective: str = "pred_v", *, seed: int = 3, **settings: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GaussianDiffusion(
            Unet(**{"dim": 8, "dim_mults": (1, 2), "channels": 1, **settings}), image_size=16, objective=objective
        )


def saved(folder: Path, trained: Any = None) -> Path:
    """A file as the package's Trainer.save writes it, its averaged weights not those of training."""
    trained = trained or diffusion()
    ema = EMA(trained, beta=0.9, update_every=1)
    for parameter in ema.ema_model.parameters():
        parameter.data *= 1.1
    optimiser = torch.optim.Adam(trained.parameters())
    whole = {"step": 70, "model": trained.state_dict(), "opt": optimiser.state_dict(), "ema": ema.state_dict()}
    torch.save({**whole, "scaler": None, "version": "2.3.4"}, folder / "model-7.pt")
    return folder / "model-7.pt"


class TestMilestone(BackboneSuite):
    def load(self, folder: Path) -> Backbone:
        return load_backbone(saved(folder), {"image_size": 16})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"full_attn": (True, False), "attn_heads": (2, 4), "attn_dim_head": (16, 8)},
        {"channels": 3, "dim_mults": (1, 2, 4)},
        {"init_dim": 16},
    ],
)
def test_activations_are_the_librarys_with_averaged_weights_bit_for_bit(tmp_path: Path, settings: dict[str, Any]) -> None:
    trained = diffusion(**settings)
    backbone = load_backbone(saved(tmp_path, trained), {"image_size": 16})
    for parameter in trained.parameters():
        parameter.data *= 1.1
    library, x_t, timesteps = trained.model.eval(), images(backbone, 3), torch.tensor([0, 250, 999])
    theirs: list[list[torch.Tensor]] = []
    for entry, timestep in zip(x_t.split(1), timesteps.split(1), strict=True):
        seen: list[torch.Tensor] = []
        hooks = [
            stage[3].register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0].clone()))
            for stage in library.ups
        ]
        with torch.inference_mode():
            library(entry, timestep)
        for hook in hooks:
            hook.remove()
        theirs.append(seen)
    for ours, expected in zip(backbone.activations(x_t, timesteps), zip(*theirs, strict=True), strict=True):
        assert torch.equal(ours, torch.cat(expected))


@pytest.mark.parametrize(("objective", "predicts"), [("pred_noise", "noise"), ("pred_x0", "image"), ("pred_v", "velocity")])
def test_the_schedule_and_the_objective_are_the_files(tmp_path: Path, objective: str, predicts: str) -> None:
    trained = diffusion(objective)
    backbone = load_backbone(saved(tmp_path, trained), {"image_size": 16})
    np.testing.assert_array_equal(backbone.schedule.alphas_cumprod, trained.alphas_cumprod.double().numpy())
    assert backbone.predicts == predicts
    assert backbone.step == 70


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "do not tell image_size"),
        ({"image_size": 17}, "17 x 17|nearest size is 16 or 18"),
        ({"image_size": 16, "dim": 16}, r"model.\S*: the settings ask for shape"),
        (
            {"image_size": 16, "dim_mults": [1, 4]},
            r"model.downs.1.3.weight: the settings ask for shape \(32, 8, 3, 3\), the file",
        ),
        ({"image_size": 16, "dims": [1, 4]}, "'dims', which mean nothing"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(TedmError, match=said):
        load_backbone(saved(tmp_path), settings)
