"""Augmentation: the same for the same generator, masks move with their images, sides stay sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tedm.augmentation import Changes, changed, view_image, view_mask
from tedm.store import IGNORE
from tedm.views import ViewKind

SHAPE = torch.Size((6, 1, 32, 32))
PINNED = [1.047819, -0.076525, 0.068267, 0.076407, 1.049437, 0.084709, 0.928159, 1.335911, -0.01579]


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def pictures():
    """Images that show their masks, with a corner in which they do not."""
    y, x = np.mgrid[:32, :32]
    masks = np.stack([((y - 14 - n) ** 2 + (x - 10 - n) ** 2 < 50).astype(np.int64) for n in range(6)])
    return torch.from_numpy(0.2 + 0.6 * masks[:, None].astype(np.float32)), torch.from_numpy(masks)


def test_a_generator_gives_its_changes_and_another_one_others():
    images, labels = pictures()
    before = torch.get_rng_state()
    first, again, other = (changed(images, labels, Changes.draw(SHAPE, generator(seed))) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_batch_equals_one_by_one():
    images, labels = pictures()
    changes = Changes.draw(SHAPE, generator())
    together = changed(images, labels, changes)
    for number in range(6):
        one = slice(number, number + 1)
        alone = changed(images[one], labels[one], changes.of(one))
        torch.testing.assert_close(alone[0], together[0][one], rtol=0, atol=1e-6)
        assert torch.equal(alone[1], together[1][one])


def test_masks_move_with_their_images():
    images, labels = pictures()
    drawn = Changes.draw(SHAPE, generator())
    assert len(drawn.affine.flatten(1).unique(dim=0)) > 3
    moved, masks = changed(
        images, labels, replace(drawn, gamma=torch.ones(6), contrast=torch.ones(6), noise=torch.zeros(SHAPE))
    )
    labelled = masks != IGNORE
    assert 0.8 < labelled.float().mean() < 1
    agree = (moved[:, 0] > 0.5) == (masks == 1)
    assert agree[labelled].float().mean() > 0.98
    assert not torch.equal(masks, labels)


def test_changes_of_intensities_are_those_of_a_plain_computation_and_leave_masks_alone():
    images, labels = pictures()
    drawn = Changes.draw(SHAPE, generator(5))
    assert min(len(drawn.gamma.unique()), len(drawn.contrast.unique())) > 1
    assert 0 < (drawn.noise.flatten(1).std(dim=1) > 0).sum() < 6
    still = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(6, 2, 3)
    ours, masks = changed(images, labels, replace(drawn, affine=still))
    assert torch.equal(masks, labels)
    for number in range(6):
        image = images[number].numpy().astype(float) ** float(drawn.gamma[number])
        image = image.mean() + float(drawn.contrast[number]) * (image - image.mean())
        expected = image.clip(0, 1) + drawn.noise[number].numpy()
        np.testing.assert_allclose(ours[number].numpy(), expected, rtol=0, atol=1e-5)


def test_sides_change_only_where_that_is_asked_for():
    straight, mirrored = (Changes.draw(torch.Size((400, 1, 2, 2)), generator(), mirror=mirror) for mirror in (False, True))
    assert (straight.affine[:, 0, 0] > 0.7).all()
    turned = mirrored.affine[:, 0, 0] < 0
    assert 0.4 < turned.float().mean() < 0.6
    assert torch.equal(mirrored.affine[~turned], straight.affine[~turned])
    assert (mirrored.affine[:, 1, 1] > 0.7).all()  # never upside down


def test_what_comes_from_outside_has_no_label_and_continues_the_edge():
    images, labels = pictures()
    shift = Changes(
        torch.tensor([[[1.0, 0, 0.5], [0, 1, 0]]]).expand(6, 2, 3),
        torch.ones(6),
        torch.ones(6),
        torch.zeros(SHAPE),
        torch.zeros(6),
    )
    moved, masks = changed(images, labels, shift)
    assert torch.equal(masks[:, :, :24], labels[:, :, 8:])
    assert (masks[:, :, 24:] == IGNORE).all()
    torch.testing.assert_close(moved[..., 24:], images[..., 31:].expand(-1, -1, -1, 8))


def test_a_view_is_a_function_of_its_name_and_kind_and_its_mask_moves_with_it():
    image, mask = pictures()[0][0].numpy().transpose(1, 2, 0), pictures()[1][0].numpy().astype(np.uint8)
    full, other = ViewKind("full", 0), ViewKind("full", 1)
    assert np.array_equal(view_image(image, "a@1", full), view_image(image, "a@1", full))
    shown = [view_image(image, *what) for what in (("a@1", full), ("a@2", full), ("b@1", full), ("a@1", other))]
    assert len({each.tobytes() for each in shown}) == 4
    assert all(each.min() >= 0 and each.max() <= 1 for each in shown)
    moved = view_mask(mask, "a@2", full)
    labelled = moved != IGNORE
    bright = shown[1][..., 0] > (shown[1].max() + shown[1].min()) / 2
    assert (bright == (moved == 1))[labelled].mean() > 0.98
    assert not np.array_equal(moved, mask)


def test_a_view_of_intensities_leaves_masks_alone_and_one_of_nothing_leaves_images_alone():
    image, mask = pictures()[0][0].numpy().transpose(1, 2, 0), pictures()[1][0].numpy().astype(np.uint8)
    changes = Changes.of_view("a@1", ViewKind("intensity", 0))
    expected = image.astype(float) ** float(changes.gamma)
    expected = expected + (float(changes.contrast) - 1) * (expected - expected.mean()) + float(changes.brightness)
    np.testing.assert_allclose(view_image(image, "a@1", ViewKind("intensity", 0)), expected.clip(0, 1), rtol=0, atol=1e-5)
    assert np.array_equal(view_mask(mask, "a@1", ViewKind("intensity", 0)), mask)
    np.testing.assert_allclose(view_image(image, "a@1", ViewKind("none", 0)), image, rtol=0, atol=1e-6)


def test_the_numbers_of_a_view_are_pinned():
    changes = Changes.of_view("scan 1@1", ViewKind("full", 0))
    numbers = [*changes.affine.flatten().tolist(), float(changes.gamma), float(changes.contrast), float(changes.brightness)]
    np.testing.assert_allclose(numbers, PINNED, rtol=0, atol=1e-6)
