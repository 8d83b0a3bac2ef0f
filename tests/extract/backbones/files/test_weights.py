"""Where training codes keep weights, and under which names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from tedm.errors import TedmError
from tedm.extract.backbones import Backbone, load_backbone
from tedm.extract.backbones.files.weights import choose_weights, under_prefix
from tedm.extract.backbones.tedm import PREFIX, content, random_backbone
from tedm.networks.openai_unet import OpenaiUNet, Shape

CONFIG = {"image_size": 16, "num_heads": 1, "noise_schedule": "cosine"}
State = dict[str, Tensor]


def network(seed: int) -> OpenaiUNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return OpenaiUNet(Shape(1, 1, 32, 32, 1, (1, 1), (), 1, 1))


def weights(seed: int) -> State:
    return dict(network(seed).state_dict())


def pre(prefix: str, state: State) -> State:
    return {prefix + name: each for name, each in state.items()}


def load(folder: Path, whole: object) -> Backbone:
    torch.save(whole, folder / "unet.pt")
    return load_backbone(folder / "unet.pt", CONFIG)


def seed_of(backbone: Backbone) -> int:
    found = backbone.network.get_submodule("out.2").weight
    return next(seed for seed in (0, 1, 2) if torch.equal(found, weights(seed)["out.2.weight"]))


ALONE: dict[str, Callable[[], Any]] = {
    "bare": lambda: weights(1),
    "unet_state_dict": lambda: {"unet_state_dict": weights(1)},
    "lightning model.": lambda: {"state_dict": pre("model.", weights(1)), "epoch": 1, "global_step": 5},
    "lightning unet.": lambda: {"state_dict": pre("unet.", weights(1))},
    "lightning net.": lambda: {"state_dict": pre("net.", weights(1))},
    "lightning model.unet.": lambda: {"state_dict": pre("model.unet.", weights(1))},
    "lightning, compiled, on several GPUs": lambda: {"state_dict": pre("model.module._orig_mod.", weights(1))},
    "lightning with other networks": lambda: {
        "state_dict": {**pre("model.", weights(1)), "loss.vgg.0.weight": torch.ones(2, 2)}
    },
    "module.": lambda: pre("module.", weights(1)),
    "_orig_mod.module.": lambda: pre("_orig_mod.module.", weights(1)),
    "AveragedModel": lambda: {"n_averaged": torch.tensor(3), **pre("module.", weights(1))},
    "torch's own AveragedModel": lambda: {"ema": AveragedModel(network(1)).state_dict()},
    "ema_model.": lambda: pre("ema_model.", weights(1)),
    "nested": lambda: {"model": {"state_dict": pre("module.", weights(1))}},
    "nested averages": lambda: {"ema": {"module": weights(1), "decay": 0.99}},
    "beside an optimiser": lambda: {"net": weights(1), "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}},
    "beside numbers": lambda: {**weights(1), "epoch": 3},
}
BOTH: dict[str, Callable[[], Any]] = {
    "ema": lambda: {"model": weights(0), "ema": weights(1)},
    "ema_state_dict": lambda: {"state_dict": weights(0), "ema_state_dict": pre("module.", weights(1))},
    "averaged within": lambda: {"state_dict": {**pre("model.", weights(0)), **pre("ema_model.", weights(1))}},
    "averaged within, on several GPUs": lambda: {"state_dict": {**pre("model.", weights(0)), **pre("ema.module.", weights(1))}},
    "counters": lambda: {
        "state_dict": {**pre("net.", weights(0)), **pre("ema_model.", weights(1)), "ema_model.step": torch.tensor(1)}
    },
    "names without dots": lambda: {
        "state_dict": {
            **pre("model.", weights(0)),
            **{f"model_ema.{name.replace('.', '')}": each for name, each in weights(1).items()},
            "model_ema.decay": torch.tensor(0.9),
        }
    },
    "no names": lambda: {"model": weights(0), "ema": {"decay": 0.9, "shadow_params": list(weights(1).values())}},
}  # fmt: skip


@pytest.mark.parametrize("form", ALONE)
def test_weights_are_found_where_training_codes_keep_them(tmp_path: Path, form: str) -> None:
    backbone = load(tmp_path, ALONE[form]())
    assert seed_of(backbone) == 1
    assert backbone.remarks == ()


@pytest.mark.parametrize("form", BOTH)
def test_averaged_weights_are_taken_where_there_are_both_and_that_is_said(tmp_path: Path, form: str) -> None:
    backbone = load(tmp_path, BOTH[form]())
    assert seed_of(backbone) == 1
    assert len(backbone.remarks) == 1
    assert "are used, not those of the last iteration" in backbone.remarks[0]


def test_averages_that_cannot_be_named_are_not_used_and_that_is_said(tmp_path: Path) -> None:
    shadows = [torch.ones(3), *list(weights(1).values())[1:]]
    backbone = load(tmp_path, {"model": weights(0), "ema": {"shadow_params": shadows}})
    assert seed_of(backbone) == 0
    assert backbone.remarks == ("the averaged weights 'ema' have no names, so those of the last iteration are used",)


def test_a_file_with_two_networks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match=r"several networks, under the names student\.\*, teacher\.\*"):
        load(tmp_path, {"state_dict": {**pre("student.", weights(0)), **pre("teacher.", weights(1))}})


@pytest.mark.parametrize(
    "whole", [{}, {"state_dict": {}}, {"state_dict": {"a": 3}}, [torch.ones(2)], {"a": torch.tensor(1)}, 3]
)
def test_a_file_without_weights_is_refused(tmp_path: Path, whole: object) -> None:
    assert choose_weights(whole) is None
    with pytest.raises(TedmError, match="it is no state dictionary and has none as model_state_dict"):
        load(tmp_path, whole)


@pytest.mark.parametrize("prefix", ["", "unet.", "diffusion.model.", "model.module."])
def test_the_published_unet_is_found_below_any_prefix_with_its_schedule(tmp_path: Path, prefix: str) -> None:
    ours = content(random_backbone())
    state = {prefix + name.removeprefix(PREFIX): each for name, each in ours.tensors.items() if name.startswith(PREFIX)}
    buffer = ours.tensors["alphas_cumprod"].float()
    where = {"state_dict": {**state, "diffusion.alphas_cumprod": buffer}, "hyper_parameters": {**ours.config, "lr": 1e-4}}
    torch.save({**where, "global_step": 9}, tmp_path / "net.ckpt")
    backbone = load_backbone(tmp_path / "net.ckpt")
    assert (backbone.parameters, backbone.step) == (random_backbone().parameters, 9)
    assert torch.equal(torch.from_numpy(backbone.schedule.alphas_cumprod), buffer.double())


def test_the_outermost_prefix_counts() -> None:
    tensors = {"a.b.x": torch.ones(1), "a.b.c.x": torch.ones(1), "y": torch.ones(1)}
    prefixes, found = under_prefix(tensors, lambda each: "x" in each)
    assert prefixes == ["a.b."]
    assert set(found) == {"x", "c.x"}
