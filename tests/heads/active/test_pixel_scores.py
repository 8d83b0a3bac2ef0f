"""An image's doubts are averaged over all of it, where they are largest, at borders and elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.heads.active.pixel_scores import PIXEL_SCORES, pixel_scores


def scores(mask, entropy, disagreement):
    return dict(zip(PIXEL_SCORES, pixel_scores(mask, entropy, disagreement), strict=True))


def test_doubt_is_averaged_over_the_parts_of_the_image(rng):
    entropy, disagreement = rng.random((20, 20)), rng.random((20, 20))
    mask = np.zeros((20, 20), np.uint8)
    mask[:, 10:] = 1  # the border runs between columns 9 and 10
    told = scores(mask, entropy, disagreement)
    near = np.zeros((20, 20), bool)
    near[:, 8:12] = True
    assert told["entropy"] == pytest.approx(entropy.mean())
    assert told["disagreement"] == pytest.approx(disagreement.mean())
    assert told["peak"] == pytest.approx(np.sort(entropy.ravel())[-40:].mean())
    assert told["border"] == pytest.approx(entropy[near].mean())
    assert told["elsewhere"] == pytest.approx(entropy[~near].mean())


def test_a_prediction_of_one_class_has_no_border(rng):
    entropy = rng.random((8, 8))
    told = scores(np.ones((8, 8), np.uint8), entropy, entropy)
    assert told["border"] == 0
    assert told["elsewhere"] == pytest.approx(entropy.mean())


def test_an_image_that_is_all_border_has_nothing_elsewhere(rng):
    checkered = (np.indices((8, 8)).sum(axis=0) % 2).astype(np.uint8)
    entropy = rng.random((8, 8))
    told = scores(checkered, entropy, entropy)
    assert told["elsewhere"] == 0
    assert told["border"] == pytest.approx(entropy.mean())
