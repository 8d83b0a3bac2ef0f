"""Masks that follow edges: the guided filter against its definition, what it is for, and odd images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tedm.extract.images import from_square, geometry, native_mask
from tedm.study.masks.edges import EPSILON, FINER, RADIUS, guided_mask, mask_at_own_size


def by_definition(guide: NDArray[np.float64], target: NDArray[np.float64], radius: int, epsilon: float) -> NDArray[np.float64]:
    """A ridge regression of the target on the guide in each window; of each pixel the mean of the windows' functions."""
    height, width, channels = guide.shape
    functions = {}
    windows = {}
    for y in range(height):
        for x in range(width):
            windows[y, x] = slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1)
            inputs, wanted = guide[windows[y, x]].reshape(-1, channels), target[windows[y, x]].reshape(-1, target.shape[-1])
            centred, apart = inputs - inputs.mean(axis=0), wanted - wanted.mean(axis=0)
            count = len(inputs)
            slope = np.linalg.solve(centred.T @ centred / count + epsilon * np.eye(channels), centred.T @ apart / count)
            functions[y, x] = slope, wanted.mean(axis=0) - inputs.mean(axis=0) @ slope
    out = np.empty(target.shape)
    for y in range(height):
        for x in range(width):
            around = [
                functions[j, i]
                for j in range(*windows[y, x][0].indices(height))
                for i in range(*windows[y, x][1].indices(width))
            ]
            out[y, x] = guide[y, x] @ np.mean([each[0] for each in around], axis=0) + np.mean(
                [each[1] for each in around], axis=0
            )
    return out


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 2])
def test_masks_are_those_of_the_guided_filter_as_it_is_defined(rng: np.random.Generator, channels: int) -> None:
    size, side = 6, 6 * FINER
    probabilities = rng.dirichlet(np.ones(3), (size, size)).astype(np.float32)
    image = rng.random((side, side, channels)).astype(np.float32)
    target = from_square(probabilities, (side, side), "stretch").astype(np.float64)
    expected = by_definition(image.astype(np.float64), target, round(RADIUS * FINER), EPSILON)
    first, second = np.sort(expected, axis=-1)[..., -1], np.sort(expected, axis=-1)[..., -2]
    mask = guided_mask(probabilities, image, "pad")
    decided = first - second > 1e-4  # float32 decides the others
    assert decided.mean() > 0.99
    np.testing.assert_array_equal(mask[decided], expected.argmax(axis=-1)[decided])


def test_a_border_goes_to_the_edge_that_a_pixel_of_the_backbone_is_too_large_to_show(rng: np.random.Generator) -> None:
    y, x = np.mgrid[:256, :256]
    truth = ((y - 121) ** 2 + (x - 134) ** 2 < 61**2).astype(np.float32)
    image = (0.3 + 0.4 * truth + rng.normal(0, 0.02, truth.shape)).clip(0, 1).astype(np.float32)[..., None]
    share = truth.reshape(64, 4, 64, 4).mean(axis=(1, 3)) > 0.5  # a head that is as right as its pixels let it be, and sure
    probabilities = np.stack([~share, share], axis=-1).astype(np.float32)

    def wrong(mask: NDArray[np.uint8]) -> int:
        return int((mask != truth).sum())

    plain, guided = wrong(mask_at_own_size(probabilities, (256, 256), "pad")), wrong(guided_mask(probabilities, image, "pad"))
    assert 0 < guided < plain / 3
    np.testing.assert_array_equal(
        mask_at_own_size(probabilities, (256, 256), "pad"), native_mask(probabilities, (256, 256), "pad")
    )


def test_larger_images_than_the_functions_are_found_at_follow_their_own_edges_too() -> None:
    y, x = np.mgrid[:480, :640]
    truth = x + y // 3 > 371
    image = np.where(truth, 0.8, 0.2).astype(np.float32)[..., None]
    coarse = to_coarse(truth, 16)
    mask = mask_at_own_size(coarse, (480, 640), "pad", image)
    plain = mask_at_own_size(coarse, (480, 640), "pad")
    assert mask.shape == (480, 640)
    assert (mask != truth).sum() < (plain != truth).sum()


def to_coarse(truth: NDArray[np.bool_], size: int) -> NDArray[np.float32]:
    side = max(truth.shape)
    top, left = (side - truth.shape[0]) // 2, (side - truth.shape[1]) // 2
    square = np.zeros((side, side))
    square[top : top + truth.shape[0], left : left + truth.shape[1]] = truth
    share = square.reshape(size, side // size, size, side // size).mean(axis=(1, 3)) > 0.5
    return np.stack([~share, share], axis=-1).astype(np.float32)


def test_the_mask_is_the_same_however_many_rows_are_taken_at_once(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    probabilities = rng.dirichlet(np.ones(2), (8, 8)).astype(np.float32)
    image = rng.random((70, 50, 1)).astype(np.float32)
    whole = guided_mask(probabilities, image, "pad")
    monkeypatch.setattr(geometry, "AT_ONCE", 200)
    np.testing.assert_array_equal(guided_mask(probabilities, image, "pad"), whole)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 5), (8, 8), (9, 300)])
@pytest.mark.parametrize("kind", ["pad", "stretch"])
def test_odd_sizes_have_masks_of_their_own_size(
    rng: np.random.Generator, size: tuple[int, int], kind: geometry.Geometry
) -> None:
    probabilities = rng.dirichlet(np.ones(3), (8, 8)).astype(np.float32)
    mask = guided_mask(probabilities, rng.random((*size, 1)).astype(np.float32), kind)
    assert mask.shape == size
    assert mask.max() < 3


def test_an_image_without_edges_leaves_what_is_decided() -> None:
    sure = np.zeros((8, 8, 2), np.float32)
    sure[:, :4, 0] = sure[:, 4:, 1] = 1
    flat = np.full((32, 32, 1), 0.5, np.float32)
    np.testing.assert_array_equal(guided_mask(sure, flat, "pad"), native_mask(sure, (32, 32), "pad"))
