"""Distances between surfaces are those of a brute force over all pairs of pixels, and MONAI's own."""

from __future__ import annotations

import builtins
import csv
import math
import warnings
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tedm.errors import TedmError
from tedm.heads.metrics.surface import surface_scores

pytest.importorskip("monai")


def surface_of(mask: np.ndarray) -> list[tuple[int, ...]]:
    """Pixels with a neighbour across an edge or a face that is not of the mask, beyond the rim included."""
    inside = {tuple(int(at) for at in place) for place in np.argwhere(mask)}
    steps = [tuple(sign * (axis == other) for other in range(mask.ndim)) for axis in range(mask.ndim) for sign in (1, -1)]
    return sorted(
        place
        for place in inside
        if any(tuple(at + by for at, by in zip(place, step, strict=True)) not in inside for step in steps)
    )


def by_hand(truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...], tolerance: float) -> tuple[float, float]:
    one, other = surface_of(truth), surface_of(prediction)
    if not one and not other:
        return math.nan, math.nan
    if not one or not other:
        return math.sqrt(sum((step * count) ** 2 for step, count in zip(spacing, truth.shape, strict=True))), 0.0

    def nearest(place: tuple[int, ...], places: list[tuple[int, ...]]) -> float:
        pairs = (zip(spacing, place, there, strict=True) for there in places)
        return min(math.sqrt(sum((step * (a - b)) ** 2 for step, a, b in pair)) for pair in pairs)

    def percentile(distances: list[float]) -> float:
        ordered, at = sorted(distances), 0.95 * (len(distances) - 1)
        low, part = int(at), at - int(at)
        return ordered[low] + part * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])

    there, back = [nearest(place, other) for place in one], [nearest(place, one) for place in other]
    within = sum(distance <= tolerance + 1e-6 for distance in there + back)
    return max(percentile(there), percentile(back)), within / len(there + back)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(4, 5, 3), (6, 5)]), st.integers(1, 3), st.booleans())
def test_small_masks_equal_a_brute_force(seed: int, shape: tuple[int, ...], classes: int, ignored: bool) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = rng.integers(0, classes, (2, *shape)).astype(np.uint8)
    if ignored:
        truth[rng.random(shape) < 0.2] = 255
    spacing, tolerance = (1.5, 0.7, 3.0)[: len(shape)], 0.7
    scores = surface_scores(truth, prediction, classes, spacing=spacing, tolerance=tolerance)
    for index in range(classes):
        if index == 0 and classes > 1:
            assert math.isnan(scores.hd95[0])
            assert math.isnan(scores.nsd[0])
            continue
        expected = by_hand(truth == index, (prediction == index) & (truth != 255), spacing, tolerance)
        np.testing.assert_allclose((scores.hd95[index], scores.nsd[index]), expected, rtol=1e-5)


def test_a_cube_that_is_shifted_is_off_by_the_spacing_of_that_axis() -> None:
    for axis, step in enumerate((2.0, 0.5, 1.0)):
        truth = np.zeros((8, 9, 10), np.uint8)
        truth[2:6, 2:6, 2:6] = 1
        scores = surface_scores(truth, np.roll(truth, 1, axis), 2, spacing=(2.0, 0.5, 1.0), tolerance=step)
        assert scores.hd95[1] == step
        assert scores.nsd[1] == 1
        assert surface_scores(truth, np.roll(truth, 1, axis), 2, spacing=(2.0, 0.5, 1.0), tolerance=0.9 * step).nsd[1] < 1


def test_a_class_of_one_mask_alone_is_as_far_off_as_can_be_and_one_of_none_is_not_scored() -> None:
    truth, prediction = np.zeros((2, 30, 40, 3), np.uint8)
    truth[4, 5, 1], prediction[4, 5, 1] = 1, 2
    scores = surface_scores(truth, prediction, 4, spacing=(1, 1, 4))
    np.testing.assert_array_equal(scores.hd95, [math.nan, math.sqrt(30**2 + 40**2 + 12**2), math.sqrt(2644), math.nan])
    np.testing.assert_array_equal(scores.nsd, [math.nan, 0, 0, math.nan])


def test_equal_masks_are_nothing_apart() -> None:
    mask = np.array([[0, 1, 1], [2, 1, 0]], np.uint8)
    scores = surface_scores(mask, mask, 3, spacing=(1, 1), tolerance=0)
    np.testing.assert_array_equal(scores.hd95, [math.nan, 0, 0])
    np.testing.assert_array_equal(scores.nsd, [math.nan, 1, 1])


def test_what_is_ignored_is_of_no_class() -> None:
    truth = np.array([[1, 1, 0, 0, 0, 255]], np.uint8)
    near, far = np.array([[1, 1, 0, 0, 0, 0]], np.uint8), np.array([[1, 1, 0, 0, 0, 1]], np.uint8)
    for prediction in (near, far):
        assert surface_scores(truth, prediction, 2, spacing=(1, 1)).hd95[1] == 0


def test_a_real_label_shifted_by_a_voxel_equals_monais_own_measures(shared: Any) -> None:
    """And of the hippocampus, cut as it is, with voxels that are no cubes."""
    nibabel = pytest.importorskip("nibabel")
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    with (shared / "data/hippocampus/manifest.csv").open() as file:
        rows = [row for row, _ in zip(csv.DictReader(file), range(3), strict=False)]
    for row, spacing in product(rows, [(1.0, 1.0, 1.0), (0.8, 1.0, 2.5)]):
        truth = np.asarray(nibabel.load(shared / "data/hippocampus" / row["mask"]).dataobj).astype(np.uint8)
        prediction = np.roll(truth, 1, 2)
        scores = surface_scores(truth, prediction, 3, spacing=spacing, tolerance=1.0)
        hot = [torch.from_numpy(np.stack([mask == index for index in range(3)])[None]).float() for mask in (prediction, truth)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            hd95 = compute_hausdorff_distance(*hot, percentile=95, spacing=spacing)[0]
            nsd = compute_surface_dice(*hot, [1.0, 1.0], spacing=spacing)[0]
        np.testing.assert_allclose(scores.hd95[1:], hd95.numpy(), rtol=1e-6)
        np.testing.assert_allclose(scores.nsd[1:], nsd.numpy(), rtol=1e-6)
        assert 0 < scores.hd95[1] < 10


@pytest.mark.parametrize(
    ("shape", "spacing", "tolerance", "message"),
    [
        ((3, 3), (1, 1, 1), 1, "2 numbers of millimetres above 0, one for each axis of the masks, got 1.0, 1.0, 1.0"),
        ((3, 3), (1, 0), 1, "millimetres above 0"),
        ((3, 3), (1, math.nan), 1, "millimetres above 0"),
        ((3, 3), (1, 1), -1, "the tolerance .* at least 0, got -1"),
        ((3, 3), (1, 1), math.inf, "the tolerance"),
        ((3,), (1,), 1, "of one shape"),
    ],
)
def test_what_measures_no_distance_is_refused(shape: Any, spacing: Any, tolerance: Any, message: str) -> None:
    mask = np.ones(shape, np.uint8)
    with pytest.raises(TedmError, match=message):
        surface_scores(mask, mask, 2, spacing=spacing, tolerance=tolerance)


def test_without_monai_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    there = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == "monai":
            raise ModuleNotFoundError("No module named 'monai'", name="monai")
        return there(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(TedmError, match=r"not installed \(monai\): pip install 'tedm\[volumes\]'"):
        surface_scores(np.ones((2, 2), np.uint8), np.ones((2, 2), np.uint8), 2, spacing=(1, 1))
