"""A step's images are changed as its number says, and the learning rate falls as asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tedm.heads.base.checkpoint import FitState
from tedm.heads.unet.losses import segmentation_loss
from tedm.heads.unet.network import NetworkShape, initial_network
from tedm.heads.unet.pictures import Pictures, images_of_step
from tedm.heads.unet.training import Training, augmented, rate_of_step


def training(**changes):
    network = initial_network(NetworkShape("tedm", 8, (1, 2), 1, 8, 2), 0)
    of = {"iterations": 5, "learning_rate": 0.1, "decay": True, "batch": 2, "loss": "dice+ce", "augment": True}
    of |= {"mirror": False, "class_weight": None, "seed": 3, "device": "cpu", "precision": "float32"}
    return Training(network=network, optimiser=torch.optim.Adam(network.parameters()), **{**of, **changes})


def test_the_rate_falls_as_nnunets_and_only_where_that_is_asked_for():
    assert [rate_of_step(0.1, step, 4, decay=True) for step in range(4)] == pytest.approx(
        [0.1 * (1 - step / 4) ** 0.9 for step in range(4)]
    )
    assert rate_of_step(0.1, 3, 4, decay=False) == 0.1


def test_a_steps_changes_depend_on_the_seed_and_its_number_alone():
    images, labels = torch.rand((3, 1, 8, 8), generator=torch.Generator().manual_seed(0)), torch.zeros(3, 8, 8).long()
    first = augmented(images, labels, 1, 4, mirror=False)[0]
    assert torch.equal(first, augmented(images, labels, 1, 4, mirror=False)[0])
    for seed, step in ((1, 5), (2, 4)):
        assert not torch.equal(first, augmented(images, labels, seed, step, mirror=False)[0])


def test_steps_that_begin_later_are_those_that_go_on(make_store, images_of):
    pictures = Pictures(images_of(make_store()))
    steps = training()
    all_losses = [float(loss) for loss in steps.steps(pictures, FitState(0))]
    assert steps.optimiser.param_groups[0]["lr"] == pytest.approx(rate_of_step(0.1, 4, 5, decay=True))
    assert [float(loss) for loss in training().steps(pictures, FitState(0, iteration=3))] == all_losses[3:]
    assert len(set(all_losses)) == 5


def test_the_loss_of_a_step_is_that_of_its_images(make_store, images_of):
    pictures = Pictures(images_of(make_store()))
    steps = training(augment=False)
    images, labels = pictures.batch(images_of_step(3, 0, 2, 4))
    loss = next(steps.steps(pictures, FitState(0)))
    expected = segmentation_loss(steps.network(images), labels, "dice+ce", seen=torch.ones(2, dtype=torch.bool))
    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-6)
    each = [
        segmentation_loss(steps.network(image[None]), label[None], "dice+ce", seen=torch.ones(2, dtype=torch.bool))
        for image, label in zip(*pictures.batch(range(4)), strict=True)
    ]
    assert steps.loss_on(pictures) == pytest.approx(np.mean([float(loss.detach()) for loss in each]), rel=1e-5)
