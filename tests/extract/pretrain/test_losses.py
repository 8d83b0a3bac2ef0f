"""Losses against a plain computation, number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tedm.extract.pretrain.losses import local_contrast, nt_xent


def cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(one @ other / math.sqrt(one @ one) / math.sqrt(other @ other))


def plain_nt_xent(first: NDArray[np.float64], second: NDArray[np.float64], temperature: float) -> float:
    """Equation 1 of arXiv:2002.05709, with loops."""
    views = [*first, *second]
    total = 0.0
    for i, view in enumerate(views):
        j = (i + len(first)) % len(views)
        candidates = [math.exp(cosine(view, views[k]) / temperature) for k in range(len(views)) if k != i]
        total -= math.log(math.exp(cosine(view, views[j]) / temperature) / sum(candidates))
    return total / len(views)


def plain_local(first: NDArray[np.float64], second: NDArray[np.float64], temperature: float) -> float:
    """Equations 3 and 4 of arXiv:2006.10511, with loops."""
    terms = []
    for one, other in zip(first, second, strict=True):
        for here, there in ((one, other), (other, one)):
            for i, region in enumerate(here):
                candidates = [math.exp(cosine(region, each) / temperature) for each in there]
                terms.append(-math.log(candidates[i] / sum(candidates)))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("temperature", [0.1, 0.7])
@pytest.mark.parametrize("images", [2, 5])
def test_nt_xent_equals_its_formula(rng: np.random.Generator, images: int, temperature: float) -> None:
    first, second = rng.normal(size=(2, images, 6))
    ours = nt_xent(torch.from_numpy(first), torch.from_numpy(second), temperature=temperature)
    assert float(ours) == pytest.approx(plain_nt_xent(first, second, temperature), rel=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_the_local_loss_equals_its_formula(rng: np.random.Generator, temperature: float) -> None:
    first, second = rng.normal(size=(2, 3, 4, 6))
    ours = local_contrast(torch.from_numpy(first), torch.from_numpy(second), temperature=temperature)
    assert float(ours) == pytest.approx(plain_local(first, second, temperature), rel=1e-12)


def test_the_temperature_is_a_tenth(rng: np.random.Generator) -> None:
    first, second = (torch.from_numpy(each) for each in rng.normal(size=(2, 3, 4, 6)))
    assert local_contrast(first, second) == local_contrast(first, second, temperature=0.1)
    assert nt_xent(first[0], second[0]) == nt_xent(first[0], second[0], temperature=0.1)


def test_other_images_are_no_candidates_of_a_region(rng: np.random.Generator) -> None:
    first, second = (torch.from_numpy(each) for each in rng.normal(size=(2, 3, 4, 6)))
    each = [local_contrast(first[i : i + 1], second[i : i + 1]) for i in range(3)]
    assert float(local_contrast(first, second)) == pytest.approx(float(sum(each)) / 3, rel=1e-12)


def test_partners_alike_and_others_not_is_what_is_asked_for() -> None:
    apart = torch.eye(4, dtype=torch.float64)
    assert nt_xent(apart, 3 * apart) < 1e-3 < 5 < nt_xent(apart, apart.roll(1, 0))
    assert local_contrast(apart[None], 3 * apart[None]) < 1e-3 < 5 < local_contrast(apart[None], apart.roll(1, 0)[None])
