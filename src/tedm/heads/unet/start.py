"""Whether a network can start from pretrained weights: they have learned what it asks for, and they are of its shape."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import nn

from tedm.errors import TedmError
from tedm.heads.unet.network import LAST_LAYER, NetworkShape, network_on_meta
from tedm.networks.pretrained import Objective, Pretrained
from tedm.text import listed

Start = Literal["", "diffusion", "global-cl", "global-local-cl"]
# What contrasted weights have at least: all that global contrast trains.
ENCODER = ("init_conv.", "downs.", "mid_")
MADE_BY = {
    "diffusion": "tedm-pretrain",
    "global-cl": "tedm-pretrain --objective global-cl",
    "global-local-cl": "tedm-pretrain --objective global-local-cl",
}


def require_weights(start: Start, weights: Pretrained | None) -> None:
    """Refuse a fit that is to start from weights and has none; a `TedmError` that says how to get them."""
    if start and weights is None:
        method = "ddpm-finetune" if start == "diffusion" else start
        raise TedmError(
            f"--method {method} starts from a checkpoint: name one with --checkpoint FILE, made by {MADE_BY[start]}"
        )


def require_objective(start: Start, weights: Pretrained) -> None:
    """Refuse weights that have learned something else than the fit starts from."""
    if not start:
        raise TedmError("this method starts from random weights: leave --checkpoint out, or choose a --method that takes one")
    if weights.objective not in get_args(Objective) or weights.objective != start:
        raise TedmError(
            f"the checkpoint has learned {weights.objective}, and this method starts from {start}: "
            f"name one that was made by {MADE_BY[start]}"
        )


def require_tensors(weights: Pretrained, shape: NetworkShape) -> None:
    """Refuse tensors that are not those of the network; contrasted weights may lack those behind the encoder."""
    own = dict(network_on_meta(shape).unet.named_parameters())
    given = {name: tensor for name, tensor in weights.tensors.items() if not name.startswith(LAST_LAYER)}
    wrong = sorted(name for name, tensor in given.items() if name not in own or tensor.shape != own[name].shape)
    absent = sorted(name for name in own.keys() - given.keys() if _must_be_there(name, weights.objective))
    if wrong or absent:
        what = f"has a tensor {wrong[0]!r} that is not this network's" if wrong else f"lacks the tensor {absent[0]!r}"
        raise TedmError(
            f"the checkpoint {what} (width {weights.width}, multipliers {listed(weights.multipliers)}); "
            f"name one that was made by {MADE_BY[weights.objective]}"
        )
    broken = next((name for name, tensor in sorted(given.items()) if not bool(torch.isfinite(tensor).all())), None)
    if broken is not None:
        raise TedmError(f"the tensor {broken!r} of the checkpoint holds values that are no finite numbers; name another one")


def _must_be_there(name: str, objective: Objective) -> bool:
    return not name.startswith(LAST_LAYER) and (objective == "diffusion" or name.startswith(ENCODER))


def parameters_of(network: nn.Module) -> int:
    """Return how many numbers a network has learned."""
    return sum(parameter.numel() for parameter in network.parameters())
