"""What was asked for and cannot be is refused before any work."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.heads.unet.asked import rate_of, require_choices, require_steps, shape_asked_for, steps_of, told_timestep
from tedm.heads.unet.network import NetworkShape

STEPS = {"iterations": 1, "images_per_batch": 1, "augment": True, "mirror": False, "sampling": "uniform"}
SHAPE = {"network": "tedm", "width": None, "multipliers": None, "image_channels": None, "image_size": None, "start": ""}


def test_tedms_network_takes_fewer_steps_on_fewer_images_unless_asked():
    assert (steps_of("dynunet", None, None), steps_of("tedm", None, None)) == ((600, 8), (150, 4))
    assert steps_of("tedm", 7, None) == (7, 4)
    assert steps_of("dynunet", None, 0) == (600, 0)  # refused, not replaced


def test_the_usual_rate_is_lower_where_weights_have_learned_already():
    assert (rate_of(None, ""), rate_of(None, "diffusion"), rate_of(0.5, "diffusion")) == (1e-3, 3e-4, 0.5)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(TedmError, match="the learning rate is .*; it must be above 0"):
            rate_of(wrong, "")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (("nnunet", "ce", ""), "there is no network 'nnunet'; choose one of dynunet, tedm"),
        (("tedm", "dice", ""), r"there is no loss 'dice'; choose one of dice\+ce, ce"),
        (("tedm", "ce", "ddpm"), "there is no start 'ddpm'; choose one of diffusion, global-cl, global-local-cl"),
        (("dynunet", "ce", "diffusion"), "a dynunet cannot start from diffusion weights"),
    ],
)
def test_choices_that_there_are_not_are_refused(choices, message):
    with pytest.raises(TedmError, match=message):
        require_choices(*choices)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 0}, "iterations is 0; it must be at least 1"),
        ({"images_per_batch": 0}, "images_per_batch is 0"),
        ({"augment": False, "mirror": True}, "mirror is a part of the augmentation, which is off"),
        ({"sampling": "balanced"}, "--sampling balanced is for heads that draw pixels"),
        ({"sampling": "boundary"}, "--sampling boundary"),
    ],
)
def test_steps_that_cannot_be_are_refused(changes, message):
    require_steps(**STEPS)
    with pytest.raises(TedmError, match=message):
        require_steps(**{**STEPS, **changes})


def test_only_a_network_that_starts_from_a_diffusion_model_is_told_a_timestep():
    assert (told_timestep("diffusion", None), told_timestep("diffusion", 1), told_timestep("", None)) == (0, 1, None)
    for start, timestep in (("", 1), ("global-cl", 0), ("diffusion", -1), ("diffusion", True), ("diffusion", 2**31)):
        with pytest.raises(ValueError, match=f"timestep is {timestep}"):
            told_timestep(start, timestep)


def test_a_shape_is_what_was_asked_for_else_the_weights_else_the_usual(make_store, pretrained):
    settings = make_store().settings

    def shape(**changes):
        given = {**SHAPE, "timestep": None, "weights": None, **changes}
        return shape_asked_for(settings, 2, **given)

    assert shape() == NetworkShape("tedm", 64, (1, 2, 4, 8), 1, 8, 2)
    assert shape(network="dynunet") == NetworkShape("dynunet", 16, (1, 2, 4), 1, 8, 2)
    assert shape(start="diffusion", weights=pretrained()) == NetworkShape("tedm", 8, (1, 2), 1, 8, 2, 0)
    assert shape(width=16, multipliers=[1, 3]) == NetworkShape("tedm", 16, (1, 3), 1, 8, 2)
    for changes, message in (
        ({"image_size": 64}, "image_size is 64, and the images here have 8"),
        ({"image_channels": 3}, "image_channels is 3, and the images here have 1"),
        ({"width": 0}, "cannot have the width 0 .*; correct the head's --params"),
        ({"timestep": 3}, "timestep is 3, and only a network"),
        ({"multipliers": (1, 1, 1, 1, 1)}, "images of 8 x 8 pixels cannot be halved 4 times"),
    ):
        with pytest.raises(TedmError, match=message):
            shape(**changes)
