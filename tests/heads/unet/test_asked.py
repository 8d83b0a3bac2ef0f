"""What was asked for and cannot be is refused before any work."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.heads.unet.asked import Steps, rate_of, require_choices, shape_asked_for, told_timestep
from tedm.heads.unet.network import NetworkShape

ASKED = {"augment": True, "mirror": False, "sampling": "uniform"}
SHAPE = {"network": "tedm", "width": None, "multipliers": None, "image_channels": None, "image_size": None, "start": ""}


def test_tedms_network_takes_fewer_steps_on_fewer_images_unless_asked():
    assert Steps.asked_for("dynunet", 2, None, None) == Steps(600, 8)
    assert Steps.asked_for("tedm", 2, None, None) == Steps(150, 4)
    assert Steps.asked_for("tedm", 2, 7, None) == Steps(7, 4)
    assert Steps.asked_for("dynunet", 2, None, 0) == Steps(600, 0)  # refused, not replaced


def test_more_classes_take_more_steps_in_proportion_and_one_class_is_two():
    usual = [Steps.asked_for("dynunet", classes, None, None).iterations for classes in (1, 2, 3, 4, 16)]
    assert usual == [600, 600, 900, 1200, 4800]
    assert Steps.asked_for("tedm", 16, None, None).iterations == 1200
    assert Steps.asked_for("tedm", 16, 10, None).iterations == 10


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
        ({"images": 0}, "images_per_batch is 0"),
        ({"augment": False, "mirror": True}, "mirror is a part of the augmentation, which is off"),
        ({"sampling": "balanced"}, "--sampling balanced is for heads that draw pixels"),
        ({"sampling": "boundary"}, "--sampling boundary"),
    ],
)
def test_steps_that_cannot_be_are_refused(changes, message):
    Steps(1, 1).require(**ASKED)
    given = {"iterations": 1, "images": 1} | ASKED | changes
    steps = Steps(given.pop("iterations"), given.pop("images"))
    with pytest.raises(TedmError, match=message):
        steps.require(**given)


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
