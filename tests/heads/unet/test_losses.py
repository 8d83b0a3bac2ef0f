"""The losses are those of a plain computation, and MONAI's; pixels without a label count in neither."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tedm.heads.unet.losses import segmentation_loss
from tedm.store import IGNORE

SEEN = torch.tensor([True, True, True])


def batch(ignored=True):
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 2, (2, 3, 5, 4)).astype(np.float32)
    labels = rng.choice(3, p=(0.6, 0.3, 0.1), size=(2, 5, 4))
    if ignored:
        labels[0, 1] = labels[1, :, 2] = IGNORE
    return logits, labels


def plain(logits, labels, weights=(1, 1, 1), classes=(1, 2)):
    """Cross-entropy and Dice loss pixel by pixel, in float64."""
    entropy = total = 0.0
    both, either = np.zeros(3), np.zeros(3)
    for image, y, x in np.argwhere(labels != IGNORE):
        each = np.exp(logits[image, :, y, x].astype(float))
        each /= each.sum()
        own = labels[image, y, x]
        entropy -= weights[own] * np.log(each[own])
        total += weights[own]
        for number in range(3):
            both[number] += each[number] * (own == number)
            either[number] += each[number] + (own == number)
    dice = [1 - (2 * both[number] + 1e-5) / (either[number] + 1e-5) for number in classes]
    return entropy / total, np.mean(dice)


def test_both_losses_are_those_of_a_plain_computation():
    logits, labels = batch()
    entropy, dice = plain(logits, labels)
    given = torch.from_numpy(logits), torch.from_numpy(labels)
    assert float(segmentation_loss(*given, "ce", seen=SEEN)) == pytest.approx(entropy, rel=1e-5)
    assert float(segmentation_loss(*given, "dice+ce", seen=SEEN)) == pytest.approx(entropy + dice, rel=1e-5)
    weights = torch.tensor([0.5, 2.0, 7.0])
    entropy, _ = plain(logits, labels, weights.tolist())
    assert float(segmentation_loss(*given, "ce", seen=SEEN, class_weight=weights)) == pytest.approx(entropy, rel=1e-5)


def test_the_sum_is_monais_with_nnunets_settings():
    losses = pytest.importorskip("monai.losses", reason="needs the extra `monai`")
    logits, labels = (torch.from_numpy(each) for each in batch(ignored=False))
    theirs = losses.DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    ours = segmentation_loss(logits, labels, "dice+ce", seen=SEEN)
    assert float(ours) == pytest.approx(float(theirs(logits, labels[:, None])), rel=1e-6)


def test_a_pixel_without_a_label_changes_neither_the_loss_nor_a_gradient():
    logits, labels = (torch.from_numpy(each) for each in batch())
    other = torch.where((labels == IGNORE)[:, None], 30 - logits, logits)
    values, gradients = [], []
    for each in (logits, other):
        each.requires_grad_()
        value = segmentation_loss(each, labels, "dice+ce", seen=SEEN)
        values.append(value.detach())
        gradients.append(torch.autograd.grad(value, each)[0])
    assert torch.equal(*values)
    assert torch.equal(*gradients)
    assert not gradients[0].movedim(1, -1)[labels == IGNORE].any()


def test_a_class_never_seen_counts_in_no_dice_and_leaves_the_loss_finite():
    logits, labels = batch()
    labels[labels == 2] = 1
    seen = torch.tensor([True, True, False])
    given = torch.from_numpy(logits).masked_fill(~seen[None, :, None, None], -torch.inf).requires_grad_()
    entropy, dice = plain(np.where(np.isinf(given.detach().numpy()), -1e3, logits), labels, classes=(1,))
    value = segmentation_loss(given, torch.from_numpy(labels), "dice+ce", seen=seen)
    assert float(value.detach()) == pytest.approx(entropy + dice, rel=1e-5)
    assert torch.isfinite(torch.autograd.grad(value, given)[0]).all()
    labels[0, 0, 0] = 2  # as a val image may
    assert torch.isfinite(segmentation_loss(given, torch.from_numpy(labels), "dice+ce", seen=seen))


def test_without_any_label_there_is_no_loss():
    logits = torch.from_numpy(batch()[0]).requires_grad_()
    value = segmentation_loss(logits, torch.full((2, 5, 4), IGNORE), "dice+ce", seen=SEEN)
    assert float(value.detach()) == 0
    assert not torch.autograd.grad(value, logits)[0].any()
