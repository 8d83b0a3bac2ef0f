"""Weights that a fit cannot start from are refused in one line that says what would do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tedm.errors import TedmError
from tedm.heads.unet.network import NetworkShape
from tedm.heads.unet.start import require_objective, require_tensors, require_weights

TIMED, PLAIN = (NetworkShape("tedm", 8, (1, 2), 1, 8, 2, timestep) for timestep in (0, None))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            "diffusion",
            r"^--method ddpm-finetune starts from a checkpoint: name one with --checkpoint FILE, made by tedm-pretrain$",
        ),
        ("global-cl", r"^--method global-cl starts from .* made by tedm-pretrain --objective global-cl$"),
        ("global-local-cl", r"^--method global-local-cl .* made by tedm-pretrain --objective global-local-cl$"),
    ],
)
def test_a_fit_without_its_weights_says_how_to_get_them(start, message):
    with pytest.raises(TedmError, match=message):
        require_weights(start, None)
    require_weights("", None)


def test_weights_that_have_learned_something_else_are_refused(pretrained):
    for start in ("diffusion", "global-cl", "global-local-cl"):
        require_objective(start, pretrained(start))
        for other in {"diffusion", "global-cl", "global-local-cl"} - {start}:
            with pytest.raises(TedmError, match=f"has learned {other}, and this method starts from {start}: name one"):
                require_objective(start, pretrained(other))
    with pytest.raises(TedmError, match="this method starts from random weights: leave --checkpoint out"):
        require_objective("", pretrained())


def test_tensors_of_another_network_are_refused(pretrained):
    for weights, shape in ((pretrained(), TIMED), (pretrained("global-cl"), PLAIN)):
        require_tensors(weights, shape)
        tensors = dict(weights.tensors)
        for wrong, message in (
            ({**tensors, "other.weight": torch.ones(1)}, "has a tensor 'other.weight' that is not this network's"),
            ({**tensors, "init_conv.bias": torch.ones(9)}, "has a tensor 'init_conv.bias' that is not"),
            ({name: each for name, each in tensors.items() if name != "init_conv.bias"}, "lacks the tensor 'init_conv.bias'"),
            ({**tensors, "init_conv.bias": torch.full((8,), torch.nan)}, "'init_conv.bias' .* no finite numbers"),
        ):
            with pytest.raises(TedmError, match=message):
                require_tensors(replace(weights, tensors=wrong), shape)
    behind = {name: each for name, each in pretrained().tensors.items() if not name.startswith("ups.")}
    with pytest.raises(TedmError, match="lacks the tensor 'ups"):
        require_tensors(replace(pretrained(), tensors=behind), TIMED)
    with pytest.raises(TedmError, match=r"tensor 'downs.*time_mlp.* that is not this network's"):
        require_tensors(replace(pretrained(), objective="global-cl"), PLAIN)
